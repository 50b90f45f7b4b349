//! Frame: the bytes of a file become chunks of whole lines, or of the records of a document.
//!
//! - In: decompressed bytes in any cut.
//! - Out: [`Chunk`]s in file order; [`Chunk::frames`] yields each frame with its offset in the file.
//! - Keeps: at most one block and one record of [`RECORD_BYTES_MAX`].
//! - Invariants: every byte is in one frame, white space and envelope syntax aside; a record above the limit
//!   is one defective frame that holds its head, and is skipped without being held.

use crate::scan::{DocumentScanner, ElementRange, ScanEnd, opens_document};
use std::io::{self, Read};
use std::sync::{Arc, Mutex, PoisonError};

/// Longest record that is parsed. Kong's practical worst case is about 150 kB, more when bodies are logged.
pub const RECORD_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Bytes asked of a file at once.
const BLOCK_BYTES: usize = 256 * 1024;

/// How much of a record that is too large is kept for its rejection.
const HEAD_BYTES: usize = 4 * 1024;

/// Bytes that must be there (or the file's end) before the form of a file is decided.
const DETECT_BYTES: usize = 256 * 1024;

/// Why a frame is not a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Defect {
    /// Longer than [`RECORD_BYTES_MAX`]; the frame holds its head.
    TooLarge,
    /// The file ends inside the document.
    Truncated,
}

/// One line, or one record of a document.
#[derive(Debug, PartialEq, Eq)]
pub struct Frame<'c> {
    /// Its bytes.
    pub bytes: &'c [u8],
    /// Offset in the decompressed file.
    pub byte_offset: u64,
    /// Position inside its document; 0 for a line.
    pub index: u32,
    /// Set when the frame is no record.
    pub defect: Option<Defect>,
}

/// Buffers of chunks that are done, to be filled again: fresh pages cost more than the reading itself.
type Pool = Arc<Mutex<Vec<Vec<u8>>>>;

/// Buffers kept for reuse; more are given back to the system.
const POOL_BUFFERS_MAX: usize = 16;

/// A piece of a file made of whole frames.
#[derive(Debug)]
pub struct Chunk {
    bytes: Vec<u8>,
    pool: Pool,
    byte_offset: u64,
    /// Ranges of document elements; None for lines.
    elements: Option<Vec<(ElementRange, Option<Defect>)>>,
}

impl Chunk {
    /// The frames in file order. Blank lines are left out.
    pub fn frames(&self) -> impl Iterator<Item = Frame<'_>> {
        let lines = self.elements.is_none().then(|| self.lines());
        let elements = self.elements.iter().flatten().map(|(range, defect)| Frame {
            bytes: &self.bytes[range.start..range.end],
            byte_offset: self.byte_offset + range.start as u64,
            index: range.index,
            defect: *defect,
        });
        lines.into_iter().flatten().chain(elements)
    }

    fn lines(&self) -> impl Iterator<Item = Frame<'_>> {
        let mut start = 0;
        std::iter::from_fn(move || {
            while start < self.bytes.len() {
                let rest = &self.bytes[start..];
                let length = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
                let (line, byte_offset) = (&rest[..length], self.byte_offset + start as u64);
                start += length + 1;
                if !line.trim_ascii().is_empty() {
                    return Some(Frame { bytes: line, byte_offset, index: 0, defect: None });
                }
            }
            None
        })
    }

    /// Size in bytes.
    pub fn byte_count(&self) -> usize {
        self.bytes.len()
    }
}

impl Drop for Chunk {
    fn drop(&mut self) {
        let mut pool = self.pool.lock().unwrap_or_else(PoisonError::into_inner);
        if pool.len() < POOL_BUFFERS_MAX && self.bytes.capacity() <= 4 * BLOCK_BYTES {
            pool.push(std::mem::take(&mut self.bytes));
        }
    }
}

#[derive(Debug)]
enum Mode {
    Detect,
    Lines,
    Document(DocumentScanner),
    /// Inside a line that is too long and no document.
    SkipLine,
}

/// Cuts one file into chunks.
pub struct FrameReader<R> {
    input: R,
    buffer: Vec<u8>,
    /// Bytes of the buffer that a document scan has seen.
    scanned: usize,
    byte_offset: u64,
    at_end: bool,
    mode: Mode,
    /// The open element is too large and was already reported.
    is_skipping_element: bool,
    pool: Pool,
}

impl<R: Read> FrameReader<R> {
    /// Over plain bytes; see [`crate::decompress::decompress`].
    pub fn new(input: R) -> Self {
        Self {
            input,
            buffer: Vec::new(),
            scanned: 0,
            byte_offset: 0,
            at_end: false,
            mode: Mode::Detect,
            is_skipping_element: false,
            pool: Pool::default(),
        }
    }

    /// Decompressed bytes handed out so far.
    pub fn byte_offset(&self) -> u64 {
        self.byte_offset
    }

    /// The next chunk; None at the end of the file.
    ///
    /// # Errors
    /// The input's error; what was handed out before it stays valid.
    pub fn next_chunk(&mut self) -> io::Result<Option<Chunk>> {
        loop {
            let chunk = match &mut self.mode {
                Mode::Detect => {
                    if !self.detect()? {
                        return Ok(None);
                    }
                    None
                }
                Mode::Lines => {
                    if self.buffer.is_empty() && self.at_end {
                        return Ok(None);
                    }
                    self.take_lines()?
                }
                Mode::Document(_) => self.take_elements()?,
                Mode::SkipLine => {
                    self.skip_line()?;
                    None
                }
            };
            if let Some(chunk) = chunk {
                return Ok(Some(chunk));
            }
        }
    }

    /// Reads one more block; false at the end of the input.
    fn fill(&mut self) -> io::Result<bool> {
        self.buffer.reserve(BLOCK_BYTES);
        let count = self.input.by_ref().take(BLOCK_BYTES as u64).read_to_end(&mut self.buffer)?;
        self.at_end = count < BLOCK_BYTES;
        Ok(count > 0)
    }

    /// The first `end` bytes of the buffer; the rest moves to a used one.
    fn take_front(&mut self, end: usize) -> Vec<u8> {
        let mut rest = self.pool.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default();
        rest.clear();
        rest.reserve(self.buffer.len() - end + BLOCK_BYTES + 1);
        rest.extend_from_slice(&self.buffer[end..]);
        self.buffer.truncate(end);
        self.byte_offset += end as u64;
        std::mem::replace(&mut self.buffer, rest)
    }

    fn chunk(
        &self,
        bytes: Vec<u8>,
        byte_offset: u64,
        elements: Option<Vec<(ElementRange, Option<Defect>)>>,
    ) -> Chunk {
        Chunk { bytes, pool: Arc::clone(&self.pool), byte_offset, elements }
    }

    /// Drops `count` bytes from the front.
    fn drop_front(&mut self, count: usize) {
        self.buffer.drain(..count);
        self.byte_offset += count as u64;
        self.scanned = self.scanned.saturating_sub(count);
    }

    /// Decides the form of what comes next; false at the end of the file.
    fn detect(&mut self) -> io::Result<bool> {
        const BOM: &[u8] = b"\xef\xbb\xbf";
        while self.buffer.len() < DETECT_BYTES && !self.at_end {
            self.fill()?;
        }
        if self.byte_offset == 0 && self.buffer.starts_with(BOM) {
            self.drop_front(BOM.len());
        }
        let blank = self.buffer.len() - self.buffer.trim_ascii_start().len();
        self.drop_front(blank);
        if self.buffer.is_empty() {
            return Ok(!self.at_end);
        }
        let line = memchr::memchr(b'\n', &self.buffer).unwrap_or(self.buffer.len());
        let (head, tail) = self.buffer.split_at(line);
        self.mode = if opens_document(&head[..head.len().min(DETECT_BYTES)], tail) && !tail.is_empty() {
            Mode::Document(DocumentScanner::default())
        } else {
            Mode::Lines
        };
        self.scanned = 0;
        Ok(true)
    }

    fn take_lines(&mut self) -> io::Result<Option<Chunk>> {
        if !self.at_end {
            self.fill()?;
        }
        let end = match memchr::memrchr(b'\n', &self.buffer) {
            Some(at) => at + 1,
            None if self.at_end => self.buffer.len(),
            None if self.buffer.len() <= RECORD_BYTES_MAX => return Ok(None),
            None => return Ok(self.begin_long_line()),
        };
        let byte_offset = self.byte_offset;
        let bytes = self.take_front(end);
        Ok((!bytes.is_empty()).then(|| self.chunk(bytes, byte_offset, None)))
    }

    /// A line above the limit: its records if it is a document, else one defective frame.
    fn begin_long_line(&mut self) -> Option<Chunk> {
        if matches!(self.buffer.trim_ascii_start().first(), Some(b'{' | b'[')) {
            self.mode = Mode::Document(DocumentScanner::default());
            self.scanned = 0;
            return None;
        }
        self.mode = Mode::SkipLine;
        Some(self.defective(0, 0, Defect::TooLarge))
    }

    fn skip_line(&mut self) -> io::Result<()> {
        match memchr::memchr(b'\n', &self.buffer) {
            Some(at) => {
                self.drop_front(at + 1);
                self.mode = Mode::Lines;
            }
            None => {
                self.drop_front(self.buffer.len());
                if self.at_end { self.mode = Mode::Lines } else { self.fill().map(|_| ())? }
            }
        }
        Ok(())
    }

    fn take_elements(&mut self) -> io::Result<Option<Chunk>> {
        if self.scanned == self.buffer.len() && !self.at_end {
            self.fill()?;
        }
        let Mode::Document(scanner) = &mut self.mode else { return Ok(None) };
        let mut found = Vec::new();
        let end = scanner.scan(&self.buffer, self.scanned, &mut found);
        if self.is_skipping_element && !found.is_empty() {
            found.remove(0);
            self.is_skipping_element = false;
        }
        match end {
            ScanEnd::Done(at) => {
                let chunk = self.cut_elements(found, at);
                self.mode = Mode::Detect;
                Ok(chunk)
            }
            ScanEnd::NeedMore if self.at_end => Ok(self.end_inside_document(found)),
            ScanEnd::NeedMore => {
                self.scanned = self.buffer.len();
                let keep = scanner.open_element().unwrap_or(self.scanned);
                let is_too_large = self.scanned - keep > RECORD_BYTES_MAX;
                if is_too_large || self.is_skipping_element {
                    return Ok(Some(self.skip_element(found, keep)));
                }
                scanner.shift(keep);
                Ok(self.cut_elements(found, keep))
            }
        }
    }

    /// Hands out the bytes before `end` with the elements in them.
    fn cut_elements(&mut self, found: Vec<ElementRange>, end: usize) -> Option<Chunk> {
        let byte_offset = self.byte_offset;
        let bytes = self.take_front(end);
        self.scanned = self.scanned.saturating_sub(end);
        let elements: Vec<_> = found.into_iter().map(|range| (range, None)).collect();
        (!elements.is_empty()).then(|| self.chunk(bytes, byte_offset, Some(elements)))
    }

    /// The open element is too large: reports it once with its head, and forgets its bytes.
    fn skip_element(&mut self, found: Vec<ElementRange>, start: usize) -> Chunk {
        let Mode::Document(scanner) = &mut self.mode else {
            unreachable!("only called while scanning a document")
        };
        let index = scanner.next_index();
        let mut elements: Vec<_> = found.into_iter().map(|range| (range, None)).collect();
        if !self.is_skipping_element {
            let end = self.buffer.len().min(start + HEAD_BYTES);
            elements.push((ElementRange { start, end, index }, Some(Defect::TooLarge)));
        }
        self.is_skipping_element = true;
        let bytes = std::mem::take(&mut self.buffer);
        scanner.shift(bytes.len());
        scanner.restart_element(0);
        let byte_offset = self.byte_offset;
        self.byte_offset += bytes.len() as u64;
        self.scanned = 0;
        self.chunk(bytes, byte_offset, Some(elements))
    }

    /// The file ends inside the document: what is left is one truncated frame.
    fn end_inside_document(&mut self, found: Vec<ElementRange>) -> Option<Chunk> {
        let Mode::Document(scanner) = &mut self.mode else { return None };
        let (index, end) = (scanner.next_index(), self.buffer.len());
        let start = scanner.open_element().unwrap_or(end);
        let mut elements: Vec<_> = found.into_iter().map(|range| (range, None)).collect();
        if !self.is_skipping_element {
            let end = end.min(start + HEAD_BYTES);
            elements.push((ElementRange { start, end, index }, Some(Defect::Truncated)));
        }
        let bytes = std::mem::take(&mut self.buffer);
        let byte_offset = self.byte_offset;
        self.byte_offset += bytes.len() as u64;
        self.scanned = 0;
        self.mode = Mode::Lines;
        Some(self.chunk(bytes, byte_offset, Some(elements)))
    }

    fn defective(&mut self, start: usize, index: u32, defect: Defect) -> Chunk {
        let end = self.buffer.len().min(start + HEAD_BYTES);
        let bytes = self.buffer[start..end].to_vec();
        let range = ElementRange { start: 0, end: bytes.len(), index };
        self.chunk(bytes, self.byte_offset + start as u64, Some(vec![(range, Some(defect))]))
    }
}

#[cfg(test)]
mod tests;
