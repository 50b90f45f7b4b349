//! Decode: bytes back to log records.
//!
//! - In: the bytes of one record, from anywhere.
//! - Out: the record, borrowed from them.
//! - Invariants: all bytes belong to a part; each length is checked before it is used.

use super::encode::EPOCH;
use super::{LoggedEvent, LoggedReject, RecordError, ShardRecord, VERSION, kind};
use corridor_model::{EventId, JoinFacts, Micros, RecordDigest, RejectCode, Side};
use corridor_refine::join::facts_codec::ByteReader;

pub(super) fn decode(bytes: &[u8]) -> Result<ShardRecord<'_>, RecordError> {
    let found = bytes.first().copied().unwrap_or_default();
    if found != VERSION {
        return Err(RecordError::Version { found });
    }
    let found = bytes.get(1).copied().unwrap_or_default();
    let mut parts = Parts { bytes: ByteReader::new(bytes.get(2..).unwrap_or_default()), kind: "" };
    let record = match found {
        kind::EVENT => ShardRecord::Event(parts.named("event").event()?),
        kind::REJECT => ShardRecord::Reject(parts.named("reject").reject()?),
        kind::HINT => {
            let parts = parts.named("hint");
            ShardRecord::Hint { home: parts.narrow("home shard")?, facts: parts.facts()? }
        }
        kind::INTRODUCTION => {
            let parts = parts.named("introduction");
            ShardRecord::Introduction { to: EventId(parts.array("event id")?), peer: parts.facts()? }
        }
        kind::TICK => {
            let parts = parts.named("tick");
            ShardRecord::Tick { shard: parts.narrow("shard")?, clock: parts.time("clock")? }
        }
        _ => return Err(RecordError::Kind { found }),
    };
    match parts.bytes.rest() {
        [] => Ok(record),
        _ => Err(parts.damaged("what follows it")),
    }
}

/// The parts that were not read yet.
struct Parts<'r> {
    bytes: ByteReader<'r>,
    kind: &'static str,
}

impl<'r> Parts<'r> {
    fn named(&mut self, kind: &'static str) -> &mut Self {
        self.kind = kind;
        self
    }

    fn damaged(&self, part: &'static str) -> RecordError {
        RecordError::Damaged { kind: self.kind, part }
    }

    fn event(&mut self) -> Result<LoggedEvent<'r>, RecordError> {
        let content = self.array("content digest")?;
        let row = self.number("length of the row")?;
        let record = self.number("length of the original")?;
        let path = self.number("length of the path")?;
        let directory_version = self.number("length of the directory version")?;
        Ok(LoggedEvent {
            facts: self.facts()?,
            content,
            path: self.text(path, "path")?,
            directory_version: match directory_version.checked_sub(1) {
                Some(length) => Some(self.text(length, "directory version")?),
                None => None,
            },
            row: self.take(row, "row")?,
            record: match record.checked_sub(1) {
                Some(length) => Some(self.take(length, "original")?),
                None => None,
            },
        })
    }

    fn reject(&mut self) -> Result<LoggedReject<'r>, RecordError> {
        let [side] = self.array("side")?;
        let side = Side::ALL.get(usize::from(side)).copied().ok_or_else(|| self.damaged("side"))?;
        let record_sha256 = RecordDigest(self.array("digest of the record")?);
        let byte_offset = self.number("byte offset")?;
        let record_index = self.narrow("record index")?;
        let received_time = self.time("time of arrival")?;
        let mut text = |part| self.number(part).and_then(|length| self.text(length, part));
        let (code, detail) = (text("code")?, text("detail")?);
        let (preview, path) = (text("preview")?, text("path")?);
        let code = RejectCode::ALL.into_iter().find(|known| known.as_str() == code);
        let code = code.ok_or_else(|| self.damaged("code"))?;
        Ok(LoggedReject {
            code,
            detail,
            preview,
            side,
            path,
            byte_offset,
            record_index,
            record_sha256,
            received_time,
        })
    }

    fn facts(&mut self) -> Result<JoinFacts, RecordError> {
        self.bytes.facts_alone(EPOCH).ok_or_else(|| self.damaged("join facts"))
    }

    fn text(&mut self, length: u64, part: &'static str) -> Result<&'r str, RecordError> {
        std::str::from_utf8(self.take(length, part)?).map_err(|_| self.damaged(part))
    }

    fn take(&mut self, length: u64, part: &'static str) -> Result<&'r [u8], RecordError> {
        let bytes = usize::try_from(length).ok().and_then(|length| self.bytes.take(length));
        bytes.ok_or_else(|| self.damaged(part))
    }

    fn array<const N: usize>(&mut self, part: &'static str) -> Result<[u8; N], RecordError> {
        self.bytes.array().ok_or_else(|| self.damaged(part))
    }

    fn time(&mut self, part: &'static str) -> Result<Micros, RecordError> {
        self.bytes.difference(EPOCH.0).map(Micros).ok_or_else(|| self.damaged(part))
    }

    fn narrow(&mut self, part: &'static str) -> Result<u32, RecordError> {
        self.bytes.narrow().ok_or_else(|| self.damaged(part))
    }

    fn number(&mut self, part: &'static str) -> Result<u64, RecordError> {
        self.bytes.number().ok_or_else(|| self.damaged(part))
    }
}
