//! Shape: secrets inside free text, recognised by how they look or by what stands before them.
//!
//! - In: any text: plain, JSON, JSON inside JSON, URL, percent-encoded.
//! - Out: the spans to mask, in order, without overlap.
//! - Invariants: linear in the text's length, never panics; most clean text costs one pass over its bytes; masking
//!   what was masked changes nothing, and JSON stays JSON.

use super::glance::{glance, is_suspect_separator};
use super::secret_name::{is_secret, with_squeezed};
use super::{MASK, entropy, span};
use aho_corasick::{AhoCorasick, Input, MatchKind};
pub(super) use span::Span;
use span::{
    after_quotes, ident_around, is_base64_url, is_url_byte, opening_quote, run_end, separator_end,
    starts_ignoring_case, value_end,
};
use std::sync::LazyLock;

/// What a hit of the automaton may be the start of.
#[derive(Clone, Copy)]
enum Trigger {
    Jwt,
    Scheme,
    Pem,
    Url,
    Query,
    Prefixed,
    Name,
}

const TRIGGERS: &[(&str, Trigger)] = &[
    ("eyJ", Trigger::Jwt),
    ("bearer", Trigger::Scheme),
    ("basic", Trigger::Scheme),
    ("negotiate", Trigger::Scheme),
    ("ntlm", Trigger::Scheme),
    ("sharedkey", Trigger::Scheme),
    ("-----BEGIN", Trigger::Pem),
    ("://", Trigger::Url),
    ("%3A%2F%2F", Trigger::Url),
    (":\\/\\/", Trigger::Url),
    ("?", Trigger::Query),
    ("%3F", Trigger::Query),
    ("AKIA", Trigger::Prefixed),
    ("ASIA", Trigger::Prefixed),
    ("AIza", Trigger::Prefixed),
    ("ghp_", Trigger::Prefixed),
    ("gho_", Trigger::Prefixed),
    ("ghs_", Trigger::Prefixed),
    ("github_pat_", Trigger::Prefixed),
    ("glpat-", Trigger::Prefixed),
    ("xoxb-", Trigger::Prefixed),
    ("xoxp-", Trigger::Prefixed),
    ("sk-", Trigger::Prefixed),
    ("sk_live_", Trigger::Prefixed),
    ("hvs.", Trigger::Prefixed),
    ("password", Trigger::Name),
    ("passwd", Trigger::Name),
    ("passphrase", Trigger::Name),
    ("pwd", Trigger::Name),
    ("secret", Trigger::Name),
    ("token", Trigger::Name),
    ("key", Trigger::Name),
    ("sig", Trigger::Name),
    ("code", Trigger::Name),
    ("jwt", Trigger::Name),
    ("assertion", Trigger::Name),
    ("authorization", Trigger::Name),
    ("cookie", Trigger::Name),
    ("credential", Trigger::Name),
    ("connectionstring", Trigger::Name),
    ("connection_string", Trigger::Name),
];

static AUTOMATON: LazyLock<AhoCorasick> = LazyLock::new(|| {
    AhoCorasick::builder()
        .ascii_case_insensitive(true)
        .match_kind(MatchKind::LeftmostLongest)
        .prefilter(false)
        .kind(Some(aho_corasick::AhoCorasickKind::DFA))
        .build(TRIGGERS.iter().map(|(text, _)| text))
        .expect("the triggers are few and short")
});

/// The first three letters of the triggers that can stand in a name, five bits for each letter: a bit set.
static HEADS: LazyLock<[u64; 512]> = LazyLock::new(|| {
    let mut heads = [0; 512];
    for (text, _) in TRIGGERS.iter().filter(|(text, _)| text.as_bytes()[0].is_ascii_alphabetic()) {
        let head = text.bytes().take(3).fold(0, add_letter);
        heads[head / 64] |= 1 << (head % 64);
    }
    heads
});

/// The three letters that end with this one. Bits of case are dropped.
fn add_letter(letters: usize, byte: u8) -> usize {
    (letters << 5 | usize::from(byte & 0x1f)) & 0x7fff
}

/// Whether a name holds the head of a trigger: few do, and the automaton takes longer to find that out.
fn may_hold_trigger(name: &[u8]) -> bool {
    let heads = &*HEADS;
    let mut letters = 0;
    name.iter().any(|byte| {
        letters = add_letter(letters, *byte);
        heads[letters / 64] >> (letters % 64) & 1 == 1
    })
}

fn holds_trigger(name: &[u8]) -> bool {
    may_hold_trigger(name) && AUTOMATON.is_match(name)
}

/// Whether a separator in `text` could stand between a secret and its name, or in front of a user's password.
pub(super) fn may_name_secret(text: &str) -> bool {
    let bytes = text.as_bytes();
    memchr::memchr2_iter(b':', b'=', bytes).any(|at| is_suspect_separator(bytes, at, holds_trigger))
}

/// The spans of `text` that hold secrets.
pub(super) fn spans(text: &str) -> Vec<Span> {
    let glance = glance(text, holds_trigger);
    let mut spans = if glance.may_trigger { triggered(text) } else { Vec::new() };
    if glance.may_be_random {
        entropy::add_spans(text, &mut spans);
    }
    spans
}

/// The same by the automaton alone.
#[cfg(test)]
pub(super) fn spans_without_glance(text: &str) -> Vec<Span> {
    let mut spans = triggered(text);
    entropy::add_spans(text, &mut spans);
    spans
}

/// The spans that begin with a trigger.
fn triggered(text: &str) -> Vec<Span> {
    let mut spans = Vec::new();
    let mut at = 0;
    while let Some(hit) = AUTOMATON.find(Input::new(text).range(at..)) {
        at = hit.end();
        let found = match TRIGGERS[hit.pattern().as_usize()].1 {
            Trigger::Jwt => jwt(text, hit.start()),
            Trigger::Scheme => {
                scheme(text, hit.start(), hit.end()).or_else(|| named(text, hit.start(), hit.end()))
            }
            Trigger::Pem => Some(pem(text, hit.start())),
            Trigger::Url => user_info(text, hit.start(), hit.end()),
            Trigger::Prefixed => {
                prefixed(text, hit.start(), hit.end()).or_else(|| named(text, hit.start(), hit.end()))
            }
            Trigger::Name => named(text, hit.start(), hit.end()),
            Trigger::Query => {
                at = query(text, hit.end(), &mut spans);
                None
            }
        };
        if let Some(span) = found {
            at = at.max(span.end);
            spans.push(span);
        }
    }
    spans
}

/// A JSON web token, or base64 of a JSON object: `eyJ…`.
fn jwt(text: &str, start: usize) -> Option<Span> {
    const LOOK_AHEAD: usize = 512;
    let bytes = text.as_bytes();
    if !bytes[start..].starts_with(b"eyJ") {
        return None;
    }
    let is_part = |byte: u8| is_base64_url(byte) || matches!(byte, b'.' | b'+' | b'/' | b'=');
    let is_inside_word =
        start > 0 && bytes[start - 1].is_ascii_alphanumeric() && !span::is_escape_tail(bytes, start - 1);
    if is_inside_word {
        let end = run_end(bytes, start, LOOK_AHEAD, is_part);
        let dots = bytes[start..end].iter().filter(|byte| **byte == b'.').count();
        if dots == 0 || end - start < 40 {
            return None;
        }
    }
    let end = run_end(bytes, start, usize::MAX, is_part);
    (end - start >= 12).then(|| Span::plain(start, end))
}

/// `Bearer x`, `Basic x`, `SharedKey account:x`: the credential after an authentication scheme.
fn scheme(text: &str, start: usize, name_end: usize) -> Option<Span> {
    let bytes = text.as_bytes();
    let mut at = name_end;
    loop {
        let rest = &bytes[at..];
        at += match rest {
            [b' ' | b'+' | b'\t', ..] => 1,
            _ if rest.starts_with(b"%20") => 3,
            _ => break,
        };
    }
    if at == name_end
        || (start > 0 && bytes[start - 1].is_ascii_alphanumeric() && !span::is_escape_tail(bytes, start - 1))
    {
        return None;
    }
    let is_part =
        |byte: u8| is_base64_url(byte) || matches!(byte, b'.' | b'~' | b'+' | b'/' | b'=' | b'%' | b':');
    let end = run_end(bytes, at, usize::MAX, is_part);
    let credential = text.get(at..end)?.trim_end_matches(['.', ':']);
    let end = at + credential.len();
    let is_secret = match bytes[start] | 0x20 {
        b'b' if bytes[start + 1] | 0x20 == b'e' => is_bearer_credential(credential),
        b'b' => entropy::is_basic_credential(credential),
        b's' => credential.contains(':'),
        _ => credential.len() >= 24,
    };
    is_secret.then(|| Span::plain(at, end))
}

/// Words that follow "bearer" in messages and challenges.
const BEARER_WORDS: &[&str] = &[
    "token",
    "tokens",
    "authentication",
    "authenticated",
    "auth",
    "authorization",
    "error",
    "realm",
    "scheme",
    "is",
    "was",
    "not",
    "or",
    "and",
    "header",
    "headers",
    "format",
    "challenge",
    "credential",
    "credentials",
    "required",
    "missing",
    "only",
    "type",
    "method",
    "methods",
    "scope",
    "with",
    "from",
    "in",
    "for",
    "to",
    "expired",
    "invalid",
    "jwt",
    "access",
    "a",
    "the",
    "has",
    "must",
    "cannot",
    "but",
    "of",
    "on",
    "by",
];

fn is_bearer_credential(credential: &str) -> bool {
    let word = credential.split('=').next().unwrap_or(credential);
    let is_parameter = word.len() < credential.len()
        && word.len() <= 24
        && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
        && credential[word.len()..].trim_start_matches('=').is_empty()
        && (word.contains('_') || BEARER_WORDS.contains(&word));
    !credential.is_empty()
        && !is_parameter
        && !BEARER_WORDS.iter().any(|known| known.eq_ignore_ascii_case(credential))
}

/// From `-----BEGIN` to the end marker; without one to the closing quote or the end of the text.
fn pem(text: &str, start: usize) -> Span {
    let rest = &text[start + 10..];
    let end = match rest.find("-----END") {
        Some(at) => {
            let marker = &rest[at + 8..];
            at + 8 + marker.find("-----").map_or(marker.len(), |close| close + 5)
        }
        None => rest.find('"').unwrap_or(rest.len()),
    };
    Span::plain(start, start + 10 + end)
}

/// `user:password@` in a URL. Storage URLs (`abfss://container@account`) name a container there.
fn user_info(text: &str, start: usize, authority: usize) -> Option<Span> {
    const AUTHORITY_BYTES_MAX: usize = 1_024;
    let bytes = text.as_bytes();
    let is_part = |byte: u8| is_url_byte(byte) && !matches!(byte, b'/' | b'?' | b'#');
    let end = run_end(bytes, authority, AUTHORITY_BYTES_MAX, is_part);
    let inside = &bytes[authority..end];
    let (at, has_password) = match memchr::memrchr(b'@', inside) {
        Some(at) => (at, memchr::memchr(b':', &inside[..at]).is_some()),
        None => (memchr::memmem::rfind(inside, b"%40")?, memchr::memmem::find(inside, b"%3A").is_some()),
    };
    let scheme_start =
        bytes[..start].iter().rposition(|byte| !byte.is_ascii_alphanumeric()).map_or(0, |at| at + 1);
    let scheme = &bytes[scheme_start.max(start.saturating_sub(8))..start];
    let is_storage = [&b"abfs"[..], b"abfss", b"wasb", b"wasbs", b"adl", b"hdfs"]
        .iter()
        .any(|known| scheme.eq_ignore_ascii_case(known));
    let is_masked = inside[..at] == *MASK.as_bytes();
    (at > 0 && !is_masked && (has_password || !is_storage)).then(|| Span::plain(authority, authority + at))
}

/// The values of a query string that starts at `start`. Returns where to go on.
fn query(text: &str, start: usize, spans: &mut Vec<Span>) -> usize {
    let bytes = text.as_bytes();
    let mut at = start;
    loop {
        let name_end = run_end(bytes, at, 128, |byte| {
            is_url_byte(byte)
                && !matches!(byte, b'=' | b'&' | b'?' | b'#' | b';' | b'/' | b':')
                && byte != b'%'
        });
        let encoded = starts_ignoring_case(&bytes[name_end..], b"%3d");
        let value = match bytes.get(name_end) {
            Some(b'=') => name_end + 1,
            Some(b'%') if encoded => name_end + 3,
            Some(b'&') if name_end > at => {
                at = name_end + 1;
                continue;
            }
            _ => return if at > start { at } else { start },
        };
        let starts_masked = bytes[value..].starts_with(MASK.as_bytes());
        let end = if starts_masked {
            value + MASK.len()
        } else {
            let mut end = value;
            while end < bytes.len()
                && is_url_byte(bytes[end])
                && bytes[end] != b'&'
                && bytes[end] != b'#'
                && !(encoded && starts_ignoring_case(&bytes[end..], b"%26"))
            {
                end += 1;
            }
            end
        };
        if name_end == at || !text.is_char_boundary(end) {
            return start.max(at);
        }
        if end > value && !starts_masked {
            spans.push(Span::plain(value, end));
        }
        match bytes.get(end) {
            Some(b'&' | b'#') => at = end + 1,
            Some(b'%') if encoded && starts_ignoring_case(&bytes[end..], b"%26") => at = end + 3,
            _ => return end,
        }
    }
}

/// Keys of known makers, such as `AKIA…` and `ghp_…`.
fn prefixed(text: &str, start: usize, prefix_end: usize) -> Option<Span> {
    let bytes = text.as_bytes();
    let prefix = &text[start..prefix_end];
    let is_written_so = TRIGGERS.iter().any(|(known, _)| *known == prefix);
    let is_inside_word =
        start > 0 && bytes[start - 1].is_ascii_alphanumeric() && !span::is_escape_tail(bytes, start - 1);
    if !is_written_so || is_inside_word {
        return None;
    }
    let end = run_end(bytes, prefix_end, usize::MAX, |byte| is_base64_url(byte) || byte == b'.');
    let tail = &bytes[prefix_end..end];
    let has_digit = tail.iter().any(u8::is_ascii_digit);
    let is_key = match prefix {
        "AKIA" | "ASIA" => {
            tail.len() >= 12 && tail.iter().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
        }
        "sk-" => tail.len() >= 20 && has_digit,
        _ => tail.len() >= 16,
    };
    is_key.then(|| Span::plain(start, end))
}

/// Words after `token:` and the like in messages: nothing is told there.
const PROSE: &[&str] = &[
    "expired",
    "invalid",
    "missing",
    "not",
    "is",
    "the",
    "unknown",
    "malformed",
    "required",
    "no",
    "bad",
    "failed",
    "error",
    "wrong",
    "unauthorized",
    "none",
    "null",
    "true",
    "false",
    "empty",
    "unsupported",
    "mismatch",
    "a",
    "an",
];

/// `name=value`, `name: value`, `"name":"value"` with a secret name.
fn named(text: &str, hit_start: usize, hit_end: usize) -> Option<Span> {
    let bytes = text.as_bytes();
    let (start, end) = ident_around(bytes, hit_start, hit_end);
    let name = text.get(start..end)?;
    let (is_code, is_line) = with_squeezed(name, |name| {
        let is_line = matches!(name, b"authorization" | b"proxyauthorization" | b"cookie" | b"setcookie");
        (matches!(name, b"code" | b"authcode" | b"authorizationcode" | b"xmsauthcode"), is_line)
    });
    if !is_code && !is_secret(name) {
        return None;
    }
    let quote = after_quotes(bytes, end);
    let (separator, is_colon) = separator_end(bytes, quote)?;
    let is_quoted_name = quote > end;
    let mut value = separator;
    let is_masked = |at: usize| bytes[at..].starts_with(MASK.as_bytes());
    while matches!(bytes.get(value), Some(b' ' | b'\t'))
        || (is_quoted_name && bytes.get(value) == Some(&b'[') && !is_masked(value))
    {
        value += 1;
    }
    if is_masked(value) {
        return None;
    }
    if is_code && is_colon {
        return None;
    }
    if matches!(bytes.get(value..value + 2), Some(b"N'" | b"n'")) {
        // A T-SQL Unicode literal.
        value += 1;
    }
    let open = opening_quote(bytes, value);
    if bytes[open.min(bytes.len())..].starts_with(b"REDACTED") {
        return None;
    }
    let (from, to) = if open > value {
        (open, span::closing_quote(text, value, open))
    } else if matches!(bytes.get(value), Some(b'{')) && is_quoted_name {
        return None;
    } else {
        (value, value_end(text, value, is_line, is_colon && is_quoted_name))
    };
    let shown = text.get(from..to)?;
    let is_told = !shown.is_empty() && !shown.starts_with(MASK);
    let is_prose = PROSE.iter().any(|word| word.eq_ignore_ascii_case(shown.trim_end_matches(['.', ','])));
    let is_plain_code = is_code && (shown.len() < 6 || shown.bytes().all(|byte| byte.is_ascii_digit()));
    if !is_told || (is_prose && (open == value)) || is_plain_code {
        return None;
    }
    // A bare value in JSON becomes a string, in the quotes of its name.
    let wrap = if is_colon && is_quoted_name && open == value { text.get(end..quote) } else { None };
    Some(match wrap {
        Some("\"") => Span { start: from, end: to, quotes: span::Quotes::Plain },
        Some("\\\"") => Span { start: from, end: to, quotes: span::Quotes::Escaped },
        _ => Span::plain(from, to),
    })
}
