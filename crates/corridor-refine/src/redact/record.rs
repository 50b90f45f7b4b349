//! Record: a whole original record, transcoded without its secrets.
//!
//! - In: the record's JSON text and its side.
//! - Out: compact JSON, members in their order, numbers as written.
//! - Keeps: nothing; one pass over checked text, no tree.
//! - Invariants: names stay, values go by rule; JSON inside strings follows the same rules.

use super::Pseudonymiser;
use super::rule::{self, Rule};
use super::{MASK, mask_text, secret_name, sql};
use crate::cursor::{Cursor, DEPTH_MAX, Token, write_string};
use corridor_model::Side;
use std::borrow::Cow;

/// JSON inside strings inside JSON: how deep it is opened. Deeper text is masked by shape.
const NESTED_MAX: u32 = 3;

/// Longer names are looked into for secrets.
const NAME_BYTES_PLAIN: usize = 16;

/// Writes one record.
pub(super) struct Transcoder<'p> {
    pub(super) side: Side,
    pub(super) pseudonyms: Option<&'p Pseudonymiser>,
    pub(super) count: u32,
    pub(super) nested: u32,
}

impl Transcoder<'_> {
    /// Appends the redacted form of `text`. None, with `out` in any state behind its old end, if it is no JSON.
    pub(super) fn transcode(&mut self, text: &str, rule: Rule, out: &mut Vec<u8>) -> Option<()> {
        let mut cursor = Cursor::over(text)?;
        self.value(&mut cursor, rule, 0, out)
    }

    fn value(&mut self, cursor: &mut Cursor<'_>, rule: Rule, depth: u32, out: &mut Vec<u8>) -> Option<()> {
        if depth > DEPTH_MAX {
            return None;
        }
        if rule == Rule::Withhold {
            return self.withhold(cursor, out);
        }
        match cursor.token()? {
            Token::Object => self.object(cursor, rule, depth, out),
            Token::Array => {
                out.push(b'[');
                let mut is_first = true;
                while cursor.element()? {
                    if !std::mem::take(&mut is_first) {
                        out.push(b',');
                    }
                    self.value(cursor, rule, depth + 1, out)?;
                }
                out.push(b']');
                Some(())
            }
            Token::String(raw) => {
                self.string(cursor.unescape(raw), rule, out);
                Some(())
            }
            Token::Scalar(raw) => {
                let is_value = rule == Rule::Query && !matches!(raw, "true" | "null");
                if is_value {
                    self.mask(out);
                } else {
                    out.extend_from_slice(raw.as_bytes());
                }
                Some(())
            }
        }
    }

    fn object(&mut self, cursor: &mut Cursor<'_>, rule: Rule, depth: u32, out: &mut Vec<u8>) -> Option<()> {
        out.push(b'{');
        let mut is_first = true;
        // `{"name":"apikey","value":"…"}`: the name of a pair stands in a value.
        let mut pair = rule::PairName::Unknown;
        while let Some(raw_name) = cursor.member()? {
            if !std::mem::take(&mut is_first) {
                out.push(b',');
            }
            let name = cursor.unescape(raw_name).unwrap_or_else(|| Cow::Owned(raw_name.to_owned()));
            let decision = rule::decide(rule, self.side, &name);
            self.name(name, decision.has_plain_name, out);
            out.push(b':');
            let child = match decision.role {
                Some(rule::PairRole::Name) => {
                    let mut ahead = cursor.clone();
                    if let Some(Token::String(raw)) = ahead.token() {
                        pair = rule::PairName::of(&ahead.unescape(raw).unwrap_or(Cow::Borrowed(raw)));
                    }
                    Rule::Plain
                }
                Some(rule::PairRole::Value) if pair.hides_value(rule) => Rule::Withhold,
                Some(rule::PairRole::Value) | None => decision.rule,
            };
            self.value(cursor, child, depth + 1, out)?;
        }
        out.push(b'}');
        Some(())
    }

    fn name(&mut self, name: Cow<'_, str>, is_plain: bool, out: &mut Vec<u8>) {
        let is_short = name.len() < NAME_BYTES_PLAIN;
        if self.pseudonyms.is_none() && (is_short || is_plain) {
            write_unescaped(name, out);
        } else {
            let masked = mask_text(&name, &mut self.count);
            write_string(&self.personal(masked, false), out);
        }
    }

    fn mask(&mut self, out: &mut Vec<u8>) {
        self.count = self.count.saturating_add(1);
        write_string(MASK, out);
    }

    /// Withholds a whole value. What is empty, or was withheld by the sender, is told.
    fn withhold(&mut self, cursor: &mut Cursor<'_>, out: &mut Vec<u8>) -> Option<()> {
        let value = cursor.skip()?;
        let is_told = matches!(value, "null" | "true" | "false" | "\"\"" | "{}" | "[]" | "\"REDACTED\"")
            || value.strip_prefix('"').and_then(|text| text.strip_suffix('"')) == Some(MASK);
        if is_told {
            out.extend_from_slice(value.as_bytes());
        } else {
            self.mask(out);
        }
        Some(())
    }

    fn string(&mut self, text: Option<Cow<'_, str>>, rule: Rule, out: &mut Vec<u8>) {
        let Some(text) = text else { return self.mask(out) };
        let is_told = text.is_empty() || text == MASK || text == "REDACTED";
        if is_told {
            return write_string(&text, out);
        }
        match rule {
            Rule::Query | Rule::Withhold => self.mask(out),
            Rule::AuthorizationOrText if !looks_like_json(&text) => self.mask(out),
            Rule::Sql => {
                let (statement, literal_count) = sql::normalise(&text);
                self.count = self.count.saturating_add(literal_count);
                write_string(&statement, out);
            }
            Rule::Url => {
                if self.pseudonyms.is_none() && memchr::memchr2(b'?', b'#', text.as_bytes()).is_none() {
                    return self.masked(text, out);
                }
                let url = mask_url(&text, &mut self.count);
                write_string(&self.personal(Cow::Owned(url), false), out);
            }
            Rule::Address => match self.pseudonyms {
                Some(pseudonyms) => write_string(&pseudonyms.hide_addresses(&text), out),
                None => self.masked(text, out),
            },
            Rule::Scheme if text.bytes().all(|byte| byte.is_ascii_alphabetic()) => write_string(&text, out),
            Rule::Scheme => self.mask(out),
            Rule::PersonalName => match self.pseudonyms {
                Some(pseudonyms) => write_string(&pseudonyms.hash("name", &text), out),
                None => self.masked(text, out),
            },
            Rule::Plain
            | Rule::Detail
            | Rule::Headers
            | Rule::Ai
            | Rule::Identity
            | Rule::Claims
            | Rule::Authentication
            | Rule::Input
            | Rule::Output
            | Rule::NestedOrMask
            | Rule::AuthorizationOrText => self.text(text, rule, out),
        }
    }

    /// A text that may be JSON itself.
    fn text(&mut self, text: Cow<'_, str>, rule: Rule, out: &mut Vec<u8>) {
        if looks_like_json(&text) && self.nested < NESTED_MAX {
            let mut inner = Transcoder {
                side: self.side,
                pseudonyms: self.pseudonyms,
                count: 0,
                nested: self.nested + 1,
            };
            let mut nested = Vec::with_capacity(text.len());
            if inner.transcode(&text, rule, &mut nested).is_some() {
                self.count = self.count.saturating_add(inner.count);
                return write_string(&String::from_utf8_lossy(&nested), out);
            }
        }
        let is_marker = text.starts_with("<redacted");
        let is_closed = match rule {
            Rule::NestedOrMask | Rule::Claims | Rule::Output | Rule::Authentication => !is_marker,
            Rule::Input => looks_like_json(&text),
            _ => false,
        };
        if is_closed {
            return self.mask(out);
        }
        let text = if rule == Rule::Detail && self.side == Side::Azure && quotes_data(&text) {
            Cow::Owned(mask_quoted(&text, &mut self.count))
        } else {
            text
        };
        if self.pseudonyms.is_none() {
            return self.masked(text, out);
        }
        let masked = mask_text(&text, &mut self.count);
        write_string(&self.personal(masked, rule == Rule::Detail), out);
    }

    /// The text without secret shapes.
    fn masked(&mut self, text: Cow<'_, str>, out: &mut Vec<u8>) {
        let masked = match mask_text(&text, &mut self.count) {
            Cow::Borrowed(_) => None,
            Cow::Owned(masked) => Some(masked),
        };
        match masked {
            None => write_unescaped(text, out),
            Some(masked) => write_string(&masked, out),
        }
    }

    /// With a pseudonym key, UPNs inside the text, and addresses in messages, are replaced.
    fn personal<'t>(&self, text: Cow<'t, str>, with_addresses: bool) -> Cow<'t, str> {
        match self.pseudonyms.and_then(|pseudonyms| pseudonyms.hide_in_text(&text, with_addresses)) {
            Some(hidden) => Cow::Owned(hidden),
            None => text,
        }
    }
}

/// Appends what [`unescape`] gave: what it borrowed stands in the record as it must stand here.
fn write_unescaped(text: Cow<'_, str>, out: &mut Vec<u8>) {
    match text {
        Cow::Borrowed(raw) => {
            out.push(b'"');
            out.extend_from_slice(raw.as_bytes());
            out.push(b'"');
        }
        Cow::Owned(text) => write_string(&text, out),
    }
}

/// Whether a SQL error quotes the value it stumbled over, where others quote the names of objects.
fn quotes_data(text: &str) -> bool {
    ["onversion failed", "rror converting", "duplicate key value", "runcated value", "ncorrect syntax near"]
        .iter()
        .any(|words| text.contains(words))
}

/// The text with `?` for everything between single quotes, and for the values of a duplicate key.
fn mask_quoted(text: &str, count: &mut u32) -> String {
    let mut out = String::with_capacity(text.len());
    for (index, part) in text.split('\'').enumerate() {
        match index % 2 {
            0 => out.push_str(part),
            _ => {
                out.push_str("'?'");
                *count = count.saturating_add(1);
            }
        }
    }
    if let Some(at) = out.find("duplicate key value is (") {
        out.truncate(at);
        out.push_str("duplicate key value is (?)");
        *count = count.saturating_add(1);
    }
    out
}

fn looks_like_json(text: &str) -> bool {
    // Most texts begin with a letter or digit.
    if text.as_bytes().first().is_none_or(u8::is_ascii_alphanumeric) {
        return false;
    }
    let text = text.trim();
    (text.starts_with('{') && text.ends_with('}')) || (text.starts_with('[') && text.ends_with(']'))
}

/// A URL, absolute or not, with the values of its query and fragment masked and their names kept.
fn mask_url(url: &str, count: &mut u32) -> String {
    let Some(at) = url.find(['?', '#']) else { return mask_text(url, count).into_owned() };
    let mut masked = mask_text(&url[..at], count).into_owned();
    masked.push_str(&url[at..=at]);
    for (index, part) in url[at + 1..].split('&').enumerate() {
        if index > 0 {
            masked.push('&');
        }
        match part.split_once('=') {
            Some((name, "" | MASK)) if !secret_name::is_secret(name) || part.ends_with(MASK) => {
                masked.push_str(&mask_text(part, count));
            }
            Some((name, value)) => {
                masked.push_str(&mask_text(name, count));
                masked.push('=');
                if !value.is_empty() {
                    masked.push_str(MASK);
                    *count = count.saturating_add(1);
                }
            }
            None => masked.push_str(&mask_text(part, count)),
        }
    }
    masked
}
