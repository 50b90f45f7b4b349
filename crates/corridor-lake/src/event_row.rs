//! Event row: one event as bytes, while it waits for its join.
//!
//! - In: an event, and where its record was.
//! - Out: [`EventRow`]: its values by column number, borrowed from the bytes.
//! - Invariants: provenance stands in front, so that two copies of one event have equal bytes behind it. Texts keep
//!   the length limit of their column. A row that does not agree with its own counts is no row.
//!
//! A row is: provenance, ids and times of fixed size; which texts and numbers are present; the numbers; the lengths of
//! the texts; the texts. All numbers are little-endian.

use crate::columns::evidence_columns;
use corridor_model::text::cut;
use corridor_model::{CorrelationOrigin, Event, EventId, Micros, RecordDigest, Source};
use sha2::{Digest, Sha256};
use std::sync::OnceLock;

/// 0001-01-01T00:00:00Z, the first moment of T-SQL `datetime2`.
const DATETIME2_MIN: i64 = -62_135_596_800_000_000;
/// A time that is missing.
const NO_TIME: i64 = i64::MIN;
/// A name that is missing.
pub(crate) const NO_NAME: u16 = u16::MAX;

/// Where the parts of fixed size stand.
mod at {
    pub(super) const RECORD_SHA256: usize = 0;
    pub(super) const BYTE_OFFSET: usize = 32;
    pub(super) const RECEIVED_TIME: usize = 40;
    pub(super) const RECORD_INDEX: usize = 48;
    pub(super) const PATH_NAME: usize = 52;
    pub(super) const DIRECTORY_NAME: usize = 54;
    pub(super) const CONTENT: usize = 56;
    pub(super) const EVENT_ID: usize = CONTENT;
    pub(super) const EVENT_TIME: usize = 88;
    pub(super) const REDACTIONS: usize = 96;
    pub(super) const SOURCE: usize = 100;
    pub(super) const CORRELATION_ORIGIN: usize = 101;
    pub(super) const TEXTS_PRESENT: usize = 102;
    pub(super) const NUMBERS_PRESENT: usize = 110;
    pub(super) const NUMBERS: usize = 114;
}

macro_rules! declare_columns {
    (text: [$($text:ident),*] bool: [$($bool:ident),*] int: [$($int:ident),*] long: [$($long:ident),*] time: [$($time:ident),*]) => {
        /// Columns of texts, by number.
        pub(crate) const TEXTS: &[&str] = &["category", $(stringify!($text)),*];
        /// Columns of truth values; their numbers come first among the numbers of a row.
        pub(crate) const BOOLS: &[&str] = &[$(stringify!($bool)),*];
        /// Columns of 32-bit integers, behind the truth values.
        pub(crate) const INTS: &[&str] = &[$(stringify!($int)),*];
        /// Columns of 64-bit integers, behind the short ones.
        pub(crate) const LONGS: &[&str] = &[$(stringify!($long)),*];
        /// Columns of times, behind all other numbers.
        pub(crate) const TIMES: &[&str] = &[$(stringify!($time)),*];

        fn texts<'e>(event: &'e Event<'_>) -> [Option<&'e str>; TEXTS.len()] {
            [Some(&*event.category), $(event.$text.as_deref()),*]
        }

        fn numbers(event: &Event<'_>) -> [Option<i64>; NUMBER_COUNT] {
            [
                $(event.$bool.map(i64::from),)*
                $(event.$int.map(i64::from),)*
                $(event.$long,)*
                $(event.$time.and_then(to_stored_time),)*
            ]
        }
    };
}
corridor_model::for_each_event_column!(declare_columns);

/// Numbers of all types.
const NUMBER_COUNT: usize = BOOLS.len() + INTS.len() + LONGS.len() + TIMES.len();
const _: () = assert!(TEXTS.len() <= u64::BITS as usize && NUMBER_COUNT <= u32::BITS as usize);

/// How a record came here.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Provenance {
    /// Offset in the file.
    pub(crate) byte_offset: u64,
    /// Number of the file's path in the names of the batch.
    pub(crate) path: u16,
    /// Number of the directory version in the names of the batch, or [`NO_NAME`].
    pub(crate) directory_version: u16,
}

/// Appends one event.
pub(crate) fn write(event: &Event<'_>, provenance: Provenance, bytes: &mut Vec<u8>) {
    let start = bytes.len();
    bytes.extend_from_slice(&event.record_sha256.0);
    bytes.extend_from_slice(&provenance.byte_offset.to_le_bytes());
    let received_time = event.received_time.and_then(to_stored_time).unwrap_or(NO_TIME);
    bytes.extend_from_slice(&received_time.to_le_bytes());
    bytes.extend_from_slice(&event.record_index.to_le_bytes());
    bytes.extend_from_slice(&provenance.path.to_le_bytes());
    bytes.extend_from_slice(&provenance.directory_version.to_le_bytes());
    bytes.extend_from_slice(&event.event_id.0);
    bytes.extend_from_slice(&event.event_time.0.to_le_bytes());
    bytes.extend_from_slice(&event.redactions.to_le_bytes());
    bytes.extend_from_slice(&[event.source as u8, event.correlation_origin as u8]);
    bytes.resize(start + at::NUMBERS, 0);
    let numbers_present = write_numbers(event, bytes);
    let texts_present = write_texts(event, bytes);
    bytes[start + at::TEXTS_PRESENT..][..8].copy_from_slice(&texts_present.to_le_bytes());
    bytes[start + at::NUMBERS_PRESENT..][..4].copy_from_slice(&numbers_present.to_le_bytes());
}

fn write_numbers(event: &Event<'_>, bytes: &mut Vec<u8>) -> u32 {
    let mut present = 0;
    for (index, number) in numbers(event).into_iter().enumerate() {
        if let Some(number) = number {
            present |= 1 << index;
            bytes.extend_from_slice(&number.to_le_bytes());
        }
    }
    present
}

fn write_texts(event: &Event<'_>, bytes: &mut Vec<u8>) -> u64 {
    let limits = text_limits();
    let texts = texts(event);
    let mut present = 0;
    for (index, text) in texts.iter().enumerate() {
        if let Some(text) = text {
            present |= 1 << index;
            let length =
                if text.len() <= limits[index] { text.len() } else { cut_length(text, limits[index]) };
            // A limit is at most 8000.
            bytes.extend_from_slice(&(length as u16).to_le_bytes());
        }
    }
    for (text, limit) in texts.iter().zip(limits) {
        match text {
            Some(text) if text.len() <= *limit => bytes.extend_from_slice(text.as_bytes()),
            Some(text) => {
                cut(text, *limit).into_iter().for_each(|part| bytes.extend_from_slice(part.as_bytes()))
            }
            None => {}
        }
    }
    present
}

fn cut_length(text: &str, limit: usize) -> usize {
    cut(text, limit).into_iter().map(str::len).sum()
}

/// The length limit of each text column, in bytes.
fn text_limits() -> &'static [usize; TEXTS.len()] {
    static LIMITS: OnceLock<[usize; TEXTS.len()]> = OnceLock::new();
    LIMITS.get_or_init(|| {
        std::array::from_fn(|index| {
            let column = evidence_columns().iter().find(|column| column.name == TEXTS[index]);
            column.and_then(|column| column.max_length).expect("a test compares the row with the contract")
        })
    })
}

/// A time as a column value. A forged token can name any time, and one outside the range of T-SQL `datetime2`
/// would fail every query that reads its column: such a time is not stored.
pub(crate) fn to_stored_time(time: Micros) -> Option<i64> {
    (DATETIME2_MIN..=Micros::MAX_EVENT.0).contains(&time.0).then_some(time.0)
}

/// Appends one event that travels alone: the names of its file and directory version travel beside it.
pub fn write_alone(event: &Event<'_>, byte_offset: u64, bytes: &mut Vec<u8>) {
    write(event, Provenance { byte_offset, path: NO_NAME, directory_version: NO_NAME }, bytes);
}

/// Appends a row as it is, with the numbers that its names have in the new batch. None if the bytes are no row.
pub(crate) fn copy(row: &[u8], path: u16, directory_version: u16, bytes: &mut Vec<u8>) -> Option<()> {
    let start = bytes.len();
    EventRow::read(row)?;
    bytes.extend_from_slice(row);
    bytes[start + at::PATH_NAME..][..2].copy_from_slice(&path.to_le_bytes());
    bytes[start + at::DIRECTORY_NAME..][..2].copy_from_slice(&directory_version.to_le_bytes());
    Some(())
}

/// What [`same_content`] compares, in short: the first half of a SHA-256. Nobody can make two contents with one digest.
pub fn content_digest(row: &[u8]) -> [u8; 16] {
    let whole: [u8; 32] = Sha256::digest(row.get(at::CONTENT..).unwrap_or_default()).into();
    let mut half = [0; 16];
    half.copy_from_slice(&whole[..16]);
    half
}

/// Whether two rows tell the same event, however each of them came here. Two rows with one `event_id` and
/// different content are an id conflict.
pub fn same_content(a: &[u8], b: &[u8]) -> bool {
    a.get(at::CONTENT..) == b.get(at::CONTENT..)
}

/// One event, read back.
#[derive(Debug, Clone, Copy)]
pub struct EventRow<'r> {
    head: &'r [u8; at::NUMBERS],
    numbers: &'r [u8],
    lengths: &'r [u8],
    texts: &'r [u8],
}

impl<'r> EventRow<'r> {
    /// None if the bytes are no row.
    pub fn read(bytes: &'r [u8]) -> Option<Self> {
        let (head, rest) = bytes.split_first_chunk()?;
        let mut row = Self { head, numbers: &[], lengths: &[], texts: &[] };
        let (numbers, rest) = rest.split_at_checked(8 * row.numbers_present().count_ones() as usize)?;
        let (lengths, rest) = rest.split_at_checked(2 * row.texts_present().count_ones() as usize)?;
        (row.numbers, row.lengths, row.texts) = (numbers, lengths, rest);
        Some(row)
    }

    fn part<const N: usize>(&self, at: usize) -> [u8; N] {
        let mut part = [0; N];
        part.copy_from_slice(&self.head[at..at + N]);
        part
    }

    fn texts_present(&self) -> u64 {
        u64::from_le_bytes(self.part(at::TEXTS_PRESENT))
    }

    fn numbers_present(&self) -> u32 {
        u32::from_le_bytes(self.part(at::NUMBERS_PRESENT))
    }

    /// Identity of the event.
    pub fn event_id(&self) -> EventId {
        EventId(self.part(at::EVENT_ID))
    }

    /// When it happened.
    pub fn event_time(&self) -> Micros {
        Micros(i64::from_le_bytes(self.part(at::EVENT_TIME)))
    }

    /// The system that logged it.
    pub fn source(&self) -> Option<Source> {
        Source::ALL.get(usize::from(self.head[at::SOURCE])).copied()
    }

    /// Who made the correlation id.
    pub(crate) fn correlation_origin(&self) -> Option<CorrelationOrigin> {
        CorrelationOrigin::ALL.get(usize::from(self.head[at::CORRELATION_ORIGIN])).copied()
    }

    /// Digest of its record.
    pub fn record_sha256(&self) -> RecordDigest {
        RecordDigest(self.part(at::RECORD_SHA256))
    }

    pub(crate) fn received_time(&self) -> Option<i64> {
        let time = i64::from_le_bytes(self.part(at::RECEIVED_TIME));
        (time != NO_TIME).then_some(time)
    }

    /// Position of its record in its batch or envelope.
    pub fn record_index(&self) -> u32 {
        u32::from_le_bytes(self.part(at::RECORD_INDEX))
    }

    pub(crate) fn redactions(&self) -> u32 {
        u32::from_le_bytes(self.part(at::REDACTIONS))
    }

    /// Offset of its record in the file or message.
    pub fn byte_offset(&self) -> u64 {
        self.provenance().byte_offset
    }

    /// Where its record was.
    pub(crate) fn provenance(&self) -> Provenance {
        Provenance {
            byte_offset: u64::from_le_bytes(self.part(at::BYTE_OFFSET)),
            path: u16::from_le_bytes(self.part(at::PATH_NAME)),
            directory_version: u16::from_le_bytes(self.part(at::DIRECTORY_NAME)),
        }
    }

    /// Its numbers, truth values and times, by column number.
    pub(crate) fn numbers(&self) -> impl Iterator<Item = (usize, i64)> + 'r {
        let values = self.numbers.chunks_exact(8).map(|bytes| {
            let mut number = [0; 8];
            number.copy_from_slice(bytes);
            i64::from_le_bytes(number)
        });
        set_bits(self.numbers_present().into()).zip(values)
    }

    /// Its texts, by column number. A text that would end behind the row is left out.
    pub(crate) fn texts(&self) -> impl Iterator<Item = (usize, &'r [u8])> + 'r {
        let (texts, mut start) = (self.texts, 0);
        let values = self.lengths.chunks_exact(2).map_while(move |bytes| {
            let end = start + usize::from(u16::from_le_bytes([bytes[0], bytes[1]]));
            let text = texts.get(start..end);
            start = end;
            text
        });
        set_bits(self.texts_present()).zip(values)
    }
}

/// The numbers of the bits that are set.
fn set_bits(mut bits: u64) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let index = (bits != 0).then(|| bits.trailing_zeros() as usize)?;
        bits &= bits - 1;
        Some(index)
    })
}
