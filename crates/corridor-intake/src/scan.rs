//! Scan: finds the records inside one JSON document without reading it whole.
//!
//! - In: consecutive bytes of a document: an object, an array of records, or an envelope `{"records":[…]}`.
//! - Out: the ranges of its elements: the array's, the envelope's, or the object itself.
//! - Keeps: depth, string state and the start of the unfinished element.
//! - Invariants: never panics; wrong closers end an element early, so that its parser rejects it.

/// What ended a scan.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum ScanEnd {
    /// All bytes were used; the document goes on.
    NeedMore,
    /// The document ended before this position.
    Done(usize),
}

/// Position inside a document. Positions refer to the caller's buffer; see [`DocumentScanner::shift`].
#[derive(Debug, Default)]
pub(crate) struct DocumentScanner {
    depth: u32,
    is_array: bool,
    is_envelope: bool,
    /// Between the brackets of the envelope's `records`.
    in_records: bool,
    in_string: bool,
    escaped: bool,
    /// Start of the string that is open or was read last.
    string_start: usize,
    string_end: usize,
    key_is_records: bool,
    element: Option<Element>,
    element_count: u32,
}

#[derive(Debug, Clone, Copy)]
struct Element {
    start: usize,
    is_scalar: bool,
}

/// The range of one element, and its position in the document.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ElementRange {
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) index: u32,
}

impl DocumentScanner {
    /// Start of the element that is not finished yet.
    pub(crate) fn open_element(&self) -> Option<usize> {
        self.element.map(|element| element.start)
    }

    /// Index of the element that is open or comes next.
    pub(crate) fn next_index(&self) -> u32 {
        self.element_count
    }

    /// Forgets the start of the open element, whose head was dropped for being too large.
    pub(crate) fn restart_element(&mut self, at: usize) {
        if let Some(element) = &mut self.element {
            element.start = at;
        }
    }

    /// The caller dropped `count` bytes from the front of its buffer.
    pub(crate) fn shift(&mut self, count: usize) {
        self.string_start = self.string_start.saturating_sub(count);
        self.string_end = self.string_end.saturating_sub(count);
        if let Some(element) = &mut self.element {
            element.start = element.start.saturating_sub(count);
        }
    }

    /// Scans `buffer[from..]`, appending finished elements.
    pub(crate) fn scan(&mut self, buffer: &[u8], from: usize, out: &mut Vec<ElementRange>) -> ScanEnd {
        let mut at = from;
        while at < buffer.len() {
            if self.in_string {
                at = self.skip_string(buffer, at, out);
                continue;
            }
            match buffer[at] {
                b'"' => self.open_string(at),
                b'{' | b'[' => self.open_container(buffer, at),
                b'}' | b']' => {
                    if self.close_container(at, out) {
                        return ScanEnd::Done(at + 1);
                    }
                }
                b',' => self.end_scalar(at, out),
                b':' => {
                    self.key_is_records =
                        self.depth == 1 && is_records(buffer, self.string_start, self.string_end)
                }
                byte if byte.is_ascii_whitespace() => {}
                _ => self.begin_scalar(at),
            }
            at += 1;
        }
        ScanEnd::NeedMore
    }

    /// Depth at which elements stand.
    fn element_depth(&self) -> u32 {
        match (self.is_array, self.is_envelope, self.in_records) {
            (true, ..) => 1,
            (false, true, true) => 2,
            (false, true, false) => u32::MAX,
            (false, false, _) => 0,
        }
    }

    fn open_string(&mut self, at: usize) {
        self.begin_scalar(at);
        self.in_string = true;
        self.string_start = at + 1;
    }

    fn skip_string(&mut self, buffer: &[u8], at: usize, out: &mut Vec<ElementRange>) -> usize {
        if self.escaped {
            self.escaped = false;
            return at + 1;
        }
        let Some(found) = memchr::memchr2(b'"', b'\\', &buffer[at..]) else { return buffer.len() };
        let at = at + found;
        if buffer[at] == b'\\' {
            self.escaped = true;
        } else {
            self.in_string = false;
            self.string_end = at;
            self.end_scalar(at + 1, out);
        }
        at + 1
    }

    fn begin_scalar(&mut self, at: usize) {
        if self.element.is_none() && self.depth > 0 && self.depth == self.element_depth() {
            self.element = Some(Element { start: at, is_scalar: true });
        }
    }

    fn end_scalar(&mut self, at: usize, out: &mut Vec<ElementRange>) {
        if self.depth == self.element_depth() && self.element.is_some_and(|element| element.is_scalar) {
            self.finish_element(at, out);
        }
    }

    fn open_container(&mut self, buffer: &[u8], at: usize) {
        let is_array = buffer[at] == b'[';
        if self.depth == 0 {
            self.is_array = is_array;
        }
        if self.depth == 1 && !self.is_array && is_array && self.key_is_records {
            self.is_envelope = true;
            self.in_records = true;
            self.element = None;
        } else if self.element.is_none() && self.depth == self.element_depth() {
            self.element = Some(Element { start: at, is_scalar: false });
        }
        self.depth += 1;
    }

    /// Closes a container; true when the document is complete.
    fn close_container(&mut self, at: usize, out: &mut Vec<ElementRange>) -> bool {
        self.end_scalar(at, out);
        self.depth = self.depth.saturating_sub(1);
        if self.depth == self.element_depth() && self.element.is_some() {
            self.finish_element(at + 1, out);
        }
        if self.depth == 1 {
            self.in_records = false;
        }
        self.depth == 0
    }

    fn finish_element(&mut self, end: usize, out: &mut Vec<ElementRange>) {
        if let Some(element) = self.element.take() {
            out.push(ElementRange { start: element.start, end, index: self.element_count });
            self.element_count += 1;
        }
    }
}

fn is_records(buffer: &[u8], start: usize, end: usize) -> bool {
    buffer.get(start..end).is_some_and(|key| key.eq_ignore_ascii_case(b"records"))
}

/// Whether a file's first line is the head of a document that goes on over more lines, and not a record of
/// its own: it ends outside of a string, inside a container, behind `{`, `[`, `,` or `:`, and what follows
/// may stand there.
pub(crate) fn opens_document(line: &[u8], following: &[u8]) -> bool {
    let mut containers = Vec::new();
    let (mut in_string, mut escaped, mut last) = (false, false, 0u8);
    for &byte in line {
        match (in_string, escaped, byte) {
            (true, true, _) => escaped = false,
            (true, false, b'\\') => escaped = true,
            (true, false, b'"') => in_string = false,
            (true, ..) => {}
            (false, _, b'"') => in_string = true,
            (false, _, b'{' | b'[') => containers.push(byte),
            (false, _, b'}' | b']') => {
                containers.pop();
            }
            _ => {}
        }
        if !byte.is_ascii_whitespace() {
            last = byte;
        }
    }
    let Some(&open) = containers.last() else { return false };
    let next = following.iter().find(|byte| !byte.is_ascii_whitespace());
    let next_fits = match (open, last, next) {
        (b'{', b'{' | b',', Some(next)) => matches!(next, b'"' | b'}'),
        _ => true,
    };
    !in_string && matches!(last, b'{' | b'[' | b',' | b':') && next_fits
}

#[cfg(test)]
mod tests {
    use super::*;

    fn elements(text: &str) -> Vec<String> {
        let mut scanner = DocumentScanner::default();
        let mut out = Vec::new();
        // Byte by byte: the state must survive every cut.
        for at in 0..text.len() {
            if let ScanEnd::Done(_) = scanner.scan(&text.as_bytes()[..=at], at, &mut out) {
                break;
            }
        }
        out.iter().map(|range| text[range.start..range.end].trim().to_owned()).collect()
    }

    #[test]
    fn elements_of_arrays_envelopes_and_objects_are_found() {
        let cases = [
            ("[{\"a\":1}, {\"b\":[2,\"]\"]}]", vec!["{\"a\":1}", "{\"b\":[2,\"]\"]}"]),
            (
                "{\"x\":{\"records\":[1]},\"Records\" : [ {\"a\":1},\"{}\",7 ],\"y\":[3]}",
                vec!["{\"a\":1}", "\"{}\"", "7"],
            ),
            ("{\"a\":[1,2],\"b\":\"\\\"}\"}", vec!["{\"a\":[1,2],\"b\":\"\\\"}\"}"]),
            ("{\"records\":[]}", vec![]),
            ("[[1,2],[3]]", vec!["[1,2]", "[3]"]),
        ];
        for (text, want) in cases {
            assert_eq!(elements(text), want, "{text}");
        }
    }

    #[test]
    fn only_a_cut_inside_a_container_opens_a_document() {
        let cases: [(&str, &str, bool); 8] = [
            ("{", "  \"a\": 1", true),
            ("[", "{", true),
            ("{\"records\": [", "{", true),
            ("{\"a\":1,", "\"b\":2}", true),
            ("{\"a\":1,", "{\"b\":2}", false),
            ("{\"a\":1}", "{\"b\":2}", false),
            ("{\"a\":\"torn {", "{\"b\":2}", false),
            ("garbage", "", false),
        ];
        for (line, following, want) in cases {
            assert_eq!(opens_document(line.as_bytes(), following.as_bytes()), want, "{line}");
        }
    }
}
