//! Format: the bytes of a segment file.
//!
//! - In: headers and payloads.
//! - Out: bytes, and headers back from bytes, or what is wrong with them.
//! - Keeps: nothing.
//! - Invariants: every header and every record has a checksum. A group names its segment, position and commit number, so bytes that
//!   merely look like a group, such as a payload that holds a copy of a log, are never taken for one.
//!
//! A segment is a header and then groups. A group holds what one fsync made durable: a header with a table of sections, then for each
//! shard its records, so that a reader of one shard skips the others. Numbers are little-endian.

use corridor_model::Micros;

const SEGMENT_MAGIC: [u8; 8] = *b"CORRLOG1";
/// Magic, checksum and length of the body.
pub(super) const SEGMENT_PREFIX_LEN: usize = 16;
/// The first bytes of every group.
pub(super) const GROUP_MAGIC: [u8; 4] = *b"CGRP";
/// Magic, checksum, number of sections, then four fields of 8 bytes.
pub(super) const GROUP_FIXED_LEN: usize = 44;
const SECTION_LEN: usize = 24;
/// Length and checksum in front of each payload.
pub(super) const RECORD_HEADER_LEN: usize = 8;

/// What is wrong with bytes, as a sentence fragment.
pub(super) type Defect = &'static str;

/// The state of the log where a segment begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SegmentHeader {
    pub(super) sequence: u64,
    pub(super) cluster: [u8; 16],
    /// The last append time before this segment.
    pub(super) time_max: Micros,
    /// The last commit number before this segment.
    pub(super) commit: u64,
    /// Length of the segment before, which proves that it was not cut.
    pub(super) previous_len: u64,
    /// For each shard the offset of its next record.
    pub(super) next_offsets: Vec<u64>,
}

impl SegmentHeader {
    /// Length of the header of a log with so many shards.
    pub(super) fn encoded_len(shard_count: usize) -> usize {
        SEGMENT_PREFIX_LEN + 8 + 16 + 8 + 8 + 8 + 8 * shard_count
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut body = Vec::with_capacity(Self::encoded_len(self.next_offsets.len()));
        body.extend_from_slice(&self.sequence.to_le_bytes());
        body.extend_from_slice(&self.cluster);
        body.extend_from_slice(&self.time_max.0.to_le_bytes());
        body.extend_from_slice(&self.commit.to_le_bytes());
        body.extend_from_slice(&self.previous_len.to_le_bytes());
        for offset in &self.next_offsets {
            body.extend_from_slice(&offset.to_le_bytes());
        }
        let body_len = u32::try_from(body.len()).expect("a header of at most 65,536 shards is short");
        let mut out = SEGMENT_MAGIC.to_vec();
        out.extend_from_slice(&crc32fast::hash(&body).to_le_bytes());
        out.extend_from_slice(&body_len.to_le_bytes());
        out.extend_from_slice(&body);
        out
    }

    /// From exactly the bytes of the header.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, Defect> {
        const SHORT: Defect = "the segment header is cut off";
        let mut fields = Fields(bytes);
        if fields.take::<8>().ok_or(SHORT)? != SEGMENT_MAGIC {
            return Err("this is no segment of an embedded log, or its header is damaged");
        }
        let checksum = fields.u32().ok_or(SHORT)?;
        let body_len = fields.u32().ok_or(SHORT)?;
        if fields.0.len() != body_len as usize {
            return Err("the segment header has another length than a log of this number of shards");
        }
        if crc32fast::hash(fields.0) != checksum {
            return Err("the checksum of the segment header is wrong");
        }
        let mut header = Self {
            sequence: fields.u64().ok_or(SHORT)?,
            cluster: fields.take().ok_or(SHORT)?,
            time_max: Micros(fields.i64().ok_or(SHORT)?),
            commit: fields.u64().ok_or(SHORT)?,
            previous_len: fields.u64().ok_or(SHORT)?,
            next_offsets: Vec::with_capacity(fields.0.len() / 8),
        };
        while let Some(offset) = fields.u64() {
            header.next_offsets.push(offset);
        }
        Ok(header)
    }
}

/// The records of one shard inside a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Section {
    pub(super) shard: u32,
    pub(super) record_count: u32,
    pub(super) first_offset: u64,
    pub(super) byte_len: u64,
}

/// What one commit wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct GroupHeader {
    pub(super) segment: u64,
    pub(super) position: u64,
    pub(super) commit: u64,
    pub(super) append_time: Micros,
    pub(super) sections: Vec<Section>,
}

impl GroupHeader {
    pub(super) fn encoded_len(section_count: usize) -> usize {
        GROUP_FIXED_LEN + SECTION_LEN * section_count
    }

    /// Where the group's first section begins in the file.
    pub(super) fn body_position(&self) -> u64 {
        self.position + Self::encoded_len(self.sections.len()) as u64
    }

    /// Where the next group begins.
    pub(super) fn end(&self) -> u64 {
        let bodies = self.sections.iter().map(|section| section.byte_len);
        bodies.fold(self.body_position(), u64::saturating_add)
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        let section_count =
            u32::try_from(self.sections.len()).expect("a group has at most a section a shard");
        let start = out.len();
        out.extend_from_slice(&GROUP_MAGIC);
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&section_count.to_le_bytes());
        out.extend_from_slice(&self.segment.to_le_bytes());
        out.extend_from_slice(&self.position.to_le_bytes());
        out.extend_from_slice(&self.commit.to_le_bytes());
        out.extend_from_slice(&self.append_time.0.to_le_bytes());
        for section in &self.sections {
            out.extend_from_slice(&section.shard.to_le_bytes());
            out.extend_from_slice(&section.record_count.to_le_bytes());
            out.extend_from_slice(&section.first_offset.to_le_bytes());
            out.extend_from_slice(&section.byte_len.to_le_bytes());
        }
        let checksum = crc32fast::hash(&out[start + 8..]);
        out[start + 4..start + 8].copy_from_slice(&checksum.to_le_bytes());
    }

    /// Length of the whole header, from its first bytes.
    pub(super) fn len_of(fixed: &[u8], shard_count: usize) -> Result<usize, Defect> {
        const SHORT: Defect = "the group header is cut off";
        let mut fields = Fields(fixed);
        if fields.take::<4>().ok_or(SHORT)? != GROUP_MAGIC {
            return Err("no group begins here");
        }
        fields.u32().ok_or(SHORT)?;
        let section_count = fields.u32().ok_or(SHORT)? as usize;
        if section_count > shard_count {
            return Err("the group has more sections than the log has shards");
        }
        Ok(Self::encoded_len(section_count))
    }

    /// From exactly the bytes of the header, which stand at `position` of the segment.
    pub(super) fn decode(bytes: &[u8], segment: u64, position: u64) -> Result<Self, Defect> {
        const SHORT: Defect = "the group header is cut off";
        let mut fields = Fields(bytes);
        fields.take::<4>().ok_or(SHORT)?;
        let checksum = fields.u32().ok_or(SHORT)?;
        if crc32fast::hash(fields.0) != checksum {
            return Err("the checksum of the group header is wrong");
        }
        fields.u32().ok_or(SHORT)?;
        let mut header = Self {
            segment: fields.u64().ok_or(SHORT)?,
            position: fields.u64().ok_or(SHORT)?,
            commit: fields.u64().ok_or(SHORT)?,
            append_time: Micros(fields.i64().ok_or(SHORT)?),
            sections: Vec::with_capacity(fields.0.len() / SECTION_LEN),
        };
        if (header.segment, header.position) != (segment, position) {
            return Err("the group belongs to another place");
        }
        while !fields.0.is_empty() {
            header.sections.push(Section {
                shard: fields.u32().ok_or(SHORT)?,
                record_count: fields.u32().ok_or(SHORT)?,
                first_offset: fields.u64().ok_or(SHORT)?,
                byte_len: fields.u64().ok_or(SHORT)?,
            });
        }
        Ok(header)
    }
}

/// Checksum of a record: its offset and its bytes, so that a record cannot stand for another.
fn record_checksum(offset: u64, payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&offset.to_le_bytes());
    hasher.update(payload);
    hasher.finalize()
}

/// Adds a record. Its payload is at most [`super::PAYLOAD_BYTES_MAX`].
pub(super) fn encode_record(offset: u64, payload: &[u8], out: &mut Vec<u8>) {
    let len = u32::try_from(payload.len()).expect("larger payloads are refused before");
    out.extend_from_slice(&len.to_le_bytes());
    out.extend_from_slice(&record_checksum(offset, payload).to_le_bytes());
    out.extend_from_slice(payload);
}

/// Length of the payload that follows this record header.
pub(super) fn payload_len(header: &[u8]) -> Result<usize, Defect> {
    let len = Fields(header).u32().ok_or("the record header is cut off")? as usize;
    if len > super::PAYLOAD_BYTES_MAX {
        return Err("a record is longer than any that was written");
    }
    Ok(len)
}

/// The payload of a whole record, checked.
pub(super) fn checked_payload(record: &[u8], offset: u64) -> Result<&[u8], Defect> {
    let (_, checksum_and_payload) = record.split_at_checked(4).ok_or("the record is cut off")?;
    let mut fields = Fields(checksum_and_payload);
    let checksum = fields.u32().ok_or("the record is cut off")?;
    if record_checksum(offset, fields.0) != checksum {
        return Err("the checksum of a record is wrong");
    }
    Ok(fields.0)
}

/// Takes fields from the front.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*head)
    }

    fn u32(&mut self) -> Option<u32> {
        self.take().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.take().map(u64::from_le_bytes)
    }

    fn i64(&mut self) -> Option<i64> {
        self.take().map(i64::from_le_bytes)
    }
}
