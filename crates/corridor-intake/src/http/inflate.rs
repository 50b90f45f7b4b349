//! Inflate: pieces of a body as they were sent become plain bytes, with a cap.
//!
//! - In: pieces in order, and the declared encoding.
//! - Out: the plain bytes, or those before a [`Defect`].
//! - Keeps: the plain bytes, at most `bytes_max`, and the state of the decoder.
//! - Invariants: a small piece never makes more than the cap; compressed bytes never come out as plain ones, because secrets in
//!   them could not be redacted.

use super::body::BodyLimits;
use crate::delivery::{Defect, DefectKind};
use flate2::write::MultiGzDecoder;
use std::io::{self, Write};

const GZIP_MAGIC: &[u8] = &[0x1f, 0x8b];
const ZSTD_MAGIC: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];
/// As long as the longest magic number.
const SNIFF_BYTES: usize = 4;

/// Plain bytes up to a limit; writing beyond it is an error.
struct Capped {
    bytes: Vec<u8>,
    bytes_max: usize,
    overflowed: bool,
}

impl Write for Capped {
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        let room = self.bytes_max.saturating_sub(self.bytes.len());
        if room == 0 && !piece.is_empty() {
            self.overflowed = true;
            return Err(io::Error::other("over the limit"));
        }
        let taken = piece.len().min(room);
        self.bytes.extend_from_slice(&piece[..taken]);
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

enum State {
    /// Too few bytes to know what it is.
    Sniffing(Vec<u8>),
    Plain(Capped),
    Gzip(Box<MultiGzDecoder<Capped>>),
    /// What came before the defect.
    Broken(Vec<u8>, Defect),
}

/// Takes pieces of one body.
pub(super) struct Inflater<'l> {
    state: State,
    declared: &'l str,
    limits: &'l BodyLimits,
    size_hint: usize,
}

impl<'l> Inflater<'l> {
    /// `declared` is the value of `content-encoding`; `size_hint` is the length as sent, if it is known.
    pub(super) fn new(declared: &'l str, limits: &'l BodyLimits, size_hint: usize) -> Self {
        Self { state: State::Sniffing(Vec::new()), declared, limits, size_hint }
    }

    /// Memory that the plain bytes take.
    pub(super) fn held_bytes(&self) -> u64 {
        let held = match &self.state {
            State::Sniffing(bytes) | State::Broken(bytes, _) => bytes.capacity(),
            State::Plain(capped) => capped.bytes.capacity(),
            State::Gzip(decoder) => decoder.get_ref().bytes.capacity(),
        };
        u64::try_from(held).unwrap_or(u64::MAX)
    }

    /// True when nothing more is taken.
    pub(super) fn is_broken(&self) -> bool {
        matches!(self.state, State::Broken(..))
    }

    /// Takes the next piece. Keep it short when the body is compressed: what it makes is bounded only by the cap.
    pub(super) fn push(&mut self, piece: &[u8]) {
        match &mut self.state {
            State::Sniffing(bytes) => {
                bytes.extend_from_slice(piece);
                if bytes.len() >= SNIFF_BYTES {
                    self.leave_sniffing();
                }
            }
            State::Plain(capped) => {
                if capped.write_all(piece).is_err() {
                    self.break_off(DefectKind::TooLarge, String::new());
                }
            }
            State::Gzip(decoder) => {
                if let Err(error) = decoder.write_all(piece) {
                    self.break_off(DefectKind::Corrupt, format!("gzip body is damaged: {error}"));
                }
            }
            State::Broken(..) => {}
        }
    }

    /// The sender sends more than is allowed: what came is kept.
    pub(super) fn overflow_as_sent(&mut self) {
        let limit = self.limits.body_bytes_max;
        self.break_off(
            DefectKind::TooLarge,
            format!("body is larger than http.body_bytes_max ({limit} bytes)"),
        );
    }

    /// The body is whole.
    pub(super) fn finish(mut self) -> (Vec<u8>, Option<Defect>) {
        if matches!(self.state, State::Sniffing(_)) {
            self.leave_sniffing();
        }
        if let State::Gzip(decoder) = &mut self.state {
            match decoder.try_finish() {
                Ok(()) if decoder.get_ref().bytes.starts_with(GZIP_MAGIC) => {
                    self.state = unknown_encoding("body is compressed twice; compress it once");
                }
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                    self.break_off(DefectKind::CutOff, "gzip body ends early".into());
                }
                Err(error) => self.break_off(DefectKind::Corrupt, format!("gzip body is damaged: {error}")),
            }
        }
        match self.state {
            State::Sniffing(bytes) => (bytes, None),
            State::Plain(capped) => (capped.bytes, None),
            State::Gzip(mut decoder) => (std::mem::take(&mut decoder.get_mut().bytes), None),
            State::Broken(bytes, defect) => (bytes, Some(defect)),
        }
    }

    /// Chooses by the first bytes; the header decides only about bytes that could be anything.
    fn leave_sniffing(&mut self) {
        let State::Sniffing(first) = &mut self.state else { return };
        let first = std::mem::take(first);
        let bytes_max = usize::try_from(self.limits.inflated_bytes_max).unwrap_or(usize::MAX);
        let capped = |bytes| Capped { bytes, bytes_max, overflowed: false };
        self.state = if first.starts_with(GZIP_MAGIC) {
            State::Gzip(Box::new(MultiGzDecoder::new(capped(Vec::new()))))
        } else if first.starts_with(ZSTD_MAGIC) || !(is_readable(self.declared) || looks_like_json(&first)) {
            unknown_encoding(&format!(
                "content-encoding {:?} is not supported; send gzip or plain bodies",
                self.declared.chars().take(64).collect::<String>()
            ))
        } else {
            State::Plain(capped(Vec::with_capacity(self.size_hint)))
        };
        self.push(&first);
    }

    /// Keeps what came and remembers why it is not all.
    fn break_off(&mut self, kind: DefectKind, detail: String) {
        let (bytes, overflowed) = match &mut self.state {
            State::Sniffing(bytes) => (std::mem::take(bytes), false),
            State::Plain(capped) => (std::mem::take(&mut capped.bytes), capped.overflowed),
            State::Gzip(decoder) => {
                let capped = decoder.get_mut();
                (std::mem::take(&mut capped.bytes), capped.overflowed)
            }
            State::Broken(..) => return,
        };
        let defect = if overflowed {
            let limit = self.limits.inflated_bytes_max;
            let detail = format!("body inflates to more than http.inflated_bytes_max ({limit} bytes)");
            Defect { kind: DefectKind::TooLarge, detail }
        } else {
            Defect { kind, detail }
        };
        self.state = State::Broken(bytes, defect);
    }
}

fn unknown_encoding(detail: &str) -> State {
    State::Broken(Vec::new(), Defect { kind: DefectKind::UnknownEncoding, detail: detail.to_owned() })
}

/// True for encodings whose bytes are plain, or known by their magic number.
fn is_readable(declared: &str) -> bool {
    let readable = ["", "identity", "gzip", "x-gzip"];
    declared.split(',').all(|name| readable.iter().any(|known| name.trim().eq_ignore_ascii_case(known)))
}

/// A sender that declares an encoding and sends JSON all the same means the JSON.
fn looks_like_json(first: &[u8]) -> bool {
    first.trim_ascii_start().first().is_none_or(|byte| matches!(byte, b'{' | b'['))
}

#[cfg(test)]
mod tests;
