//! Span: where in a text a secret lies, and the byte rules that find its ends.
//!
//! - Invariants: ends are character boundaries; every scan stops at the first byte that cannot belong.

/// Bytes that may stand between a name and its separator, or open a value: quotes in all their disguises.
const QUOTES: &[&[u8]] = &[b"\\\\\\\"", b"\\\"", b"\"", b"'", b"%22", b"%27", b"\\u0022", b"`"];

/// A part of a text to be masked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    /// First byte.
    pub(super) start: usize,
    /// After the last byte.
    pub(super) end: usize,
    /// Quotes to put round the mask.
    pub(super) quotes: Quotes,
}

/// Quotes round a mask that replaces a bare JSON value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Quotes {
    /// None.
    Bare,
    /// `"`
    Plain,
    /// `\"`
    Escaped,
}

impl Span {
    pub(super) fn plain(start: usize, end: usize) -> Self {
        Self { start, end, quotes: Quotes::Bare }
    }
}

pub(super) fn is_base64_url(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')
}

/// Whether a byte may stand in a URL. Brackets count: a mask has them.
pub(super) fn is_url_byte(byte: u8) -> bool {
    byte > b' ' && !matches!(byte, b'"' | b'\'' | b'<' | b'>' | b'\\' | b'`' | 0x7f)
}

/// The end of the run of bytes that `is_part` accepts, at most `bytes_max` long.
pub(super) fn run_end(bytes: &[u8], start: usize, bytes_max: usize, is_part: impl Fn(u8) -> bool) -> usize {
    let rest = &bytes[start..];
    let rest = &rest[..rest.len().min(bytes_max)];
    let mut end = start + rest.iter().position(|byte| !is_part(*byte)).unwrap_or(rest.len());
    while end > start && end < bytes.len() && bytes[end] & 0xc0 == 0x80 {
        end -= 1;
    }
    end
}

/// Whether the letter at `at` belongs to an escape: the `n` of `\n`, the last digits of `%3D` or `\u003d`.
pub(super) fn is_escape_tail(bytes: &[u8], at: usize) -> bool {
    let before = |back: usize| at.checked_sub(back).map(|at| bytes[at]);
    before(1) == Some(b'\\')
        || (before(2) == Some(b'%') && bytes[at].is_ascii_hexdigit())
        || (before(4) == Some(b'u') && before(5) == Some(b'\\'))
}

/// The identifier round a hit: letters, digits, `-` and `_`, without the tail of an escape before it.
pub(super) fn ident_around(bytes: &[u8], hit_start: usize, hit_end: usize) -> (usize, usize) {
    const REACH: usize = 48;
    let end = run_end(bytes, hit_end, REACH, is_base64_url);
    let mut start = hit_start;
    while start > 0
        && hit_start - start < REACH
        && is_base64_url(bytes[start - 1])
        && !is_escape_tail(bytes, start - 1)
    {
        start -= 1;
    }
    (start, end)
}

/// Passes over a quote after a name.
pub(super) fn after_quotes(bytes: &[u8], at: usize) -> usize {
    opening_quote(bytes, at)
}

/// The end of the quote that stands at `at`; `at` when there is none.
pub(super) fn opening_quote(bytes: &[u8], at: usize) -> usize {
    let rest = &bytes[at.min(bytes.len())..];
    QUOTES.iter().find(|quote| starts_ignoring_case(rest, quote)).map_or(at, |quote| at + quote.len())
}

/// Where the value starts: after `=`, `:`, `=>` and their encodings. The flag tells a colon.
pub(super) fn separator_end(bytes: &[u8], at: usize) -> Option<(usize, bool)> {
    const SEPARATORS: &[(&[u8], bool)] = &[
        (b"=>", false),
        (b"=", false),
        (b":", true),
        (b"%3d", false),
        (b"%3a", true),
        (b"%253d", false),
        (b"\\u003d", false),
    ];
    let blanks = bytes[at..].iter().take(4).take_while(|byte| **byte == b' ').count();
    let rest = &bytes[at + blanks..];
    SEPARATORS
        .iter()
        .find(|(text, _)| starts_ignoring_case(rest, text))
        .map(|(text, is_colon)| (at + blanks + text.len(), *is_colon))
}

/// The end of a quoted value: the same quote again, or the end of the text.
pub(super) fn closing_quote(text: &str, quote_start: usize, value: usize) -> usize {
    let quote = &text.as_bytes()[quote_start..value];
    let bytes = text.as_bytes();
    let mut at = value;
    while let Some(found) = memchr::memmem::find(&bytes[at..], quote) {
        let found = at + found;
        let is_escaped =
            quote == b"\"" && bytes[value..found].iter().rev().take_while(|b| **b == b'\\').count() % 2 == 1;
        // SQL doubles a quote inside a literal. An empty literal is none.
        let is_doubled = quote == b"'" && found > value && bytes.get(found + 1) == Some(&b'\'');
        if !is_escaped && !is_doubled {
            return found;
        }
        at = found + quote.len() + usize::from(is_doubled);
    }
    text.len()
}

/// The end of a bare value. Header lines (`Cookie: a=b; c=d`) go on to the end of the line.
pub(super) fn value_end(text: &str, start: usize, is_line: bool, is_json: bool) -> usize {
    let bytes = text.as_bytes();
    if bytes.get(start) == Some(&b'{') {
        return memchr::memchr(b'}', &bytes[start..]).map_or(text.len(), |at| start + at + 1);
    }
    let ends = |at: usize| match bytes[at] {
        b'"' | b'\n' | b'\r' | b'\\' => true,
        _ if is_line => false,
        b' ' | b'\t' | b'&' | b';' | b'\'' | b'<' | b'>' | b'`' => true,
        b',' | b'}' | b']' => is_json,
        b'%' => starts_ignoring_case(&bytes[at..], b"%26") || starts_ignoring_case(&bytes[at..], b"%22"),
        _ => false,
    };
    let from = |start: usize| (start..bytes.len()).find(|at| ends(*at)).unwrap_or(bytes.len());
    let end = from(start);
    let first = text[start..end].trim_end_matches([',', '.']);
    let is_scheme =
        ["bearer", "basic", "digest", "token", "sharedkey", "negotiate", "ntlm", "apikey", "hmac"]
            .iter()
            .any(|scheme| scheme.eq_ignore_ascii_case(first));
    if is_scheme && bytes.get(end) == Some(&b' ') { from(end + 1) } else { end }
}

pub(super) fn starts_ignoring_case(bytes: &[u8], prefix: &[u8]) -> bool {
    bytes.len() >= prefix.len() && bytes[..prefix.len()].eq_ignore_ascii_case(prefix)
}
