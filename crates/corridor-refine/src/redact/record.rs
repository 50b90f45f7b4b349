//! Record: a whole original record, transcoded without its secrets.
//!
//! - In: the record's JSON text and its side.
//! - Out: compact JSON, members in their order, numbers as written.
//! - Keeps: nothing; one pass over the text, no tree.
//! - Invariants: names stay, values go by rule; JSON inside strings follows the same rules.

use super::copier::{Copier, Quoted};
use super::decided::Decided;
use super::rule::{Decision, PairName, PairRole, Rule};
use super::sift::Traits;
use super::{MASK, Pseudonymiser, mask_text, secret_name, sql};
use crate::cursor::DEPTH_MAX;
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
    pub(super) decided: &'p mut Decided,
    pub(super) count: u32,
    pub(super) nested: u32,
}

impl Transcoder<'_> {
    /// Appends the redacted form of `text`. None, with `out` in any state behind its old end, if it is no JSON.
    pub(super) fn transcode(&mut self, text: &str, rule: Rule, out: &mut Vec<u8>) -> Option<()> {
        let mut copier = Copier::over(text, out);
        self.value(&mut copier, rule, 0)?;
        copier.finish()
    }

    fn value(&mut self, copier: &mut Copier<'_, '_>, rule: Rule, depth: u32) -> Option<()> {
        if depth > DEPTH_MAX {
            return None;
        }
        if rule == Rule::Withhold {
            return self.withhold(copier);
        }
        match copier.next()? {
            b'"' => {
                let start = copier.at();
                let traits = copier.string()?;
                if !self.tells(traits, copier.part(start + 1, copier.at() - 1), rule) {
                    self.string(copier, copier.quoted(start, traits), rule);
                }
            }
            b'{' => self.object(copier, rule, depth)?,
            b'[' => self.array(copier, rule, depth)?,
            _ => {
                let start = copier.at();
                let scalar = copier.scalar()?;
                if rule == Rule::Query && !matches!(scalar, "true" | "null") {
                    self.mask(copier, start);
                }
            }
        }
        Some(())
    }

    fn array(&mut self, copier: &mut Copier<'_, '_>, rule: Rule, depth: u32) -> Option<()> {
        copier.expect(b'[')?;
        if copier.next()? == b']' {
            return copier.expect(b']');
        }
        loop {
            self.value(copier, rule, depth + 1)?;
            if copier.next()? != b',' {
                return copier.expect(b']');
            }
            copier.pass(1);
        }
    }

    fn object(&mut self, copier: &mut Copier<'_, '_>, rule: Rule, depth: u32) -> Option<()> {
        copier.expect(b'{')?;
        if copier.next()? == b'}' {
            return copier.expect(b'}');
        }
        // `{"name":"apikey","value":"…"}`: the name of a pair stands in a value.
        let mut pair = PairName::Unknown;
        loop {
            let decision = self.name(copier, rule)?;
            let hides_value = decision.role == Some(PairRole::Value) && pair.hides_value(rule);
            let child = match decision.role {
                Some(PairRole::Name) => Rule::Plain,
                Some(PairRole::Value) if hides_value => Rule::Withhold,
                Some(PairRole::Value) | None => decision.rule,
            };
            copier.next()?;
            let start = copier.at();
            match decision.place.filter(|_| !hides_value) {
                Some(place) => self.value_at(place, copier, child, depth + 1)?,
                None => self.value(copier, child, depth + 1)?,
            }
            if decision.role == Some(PairRole::Name) {
                pair = pair.or(copier.part(start, copier.at()));
            }
            if copier.next()? != b',' {
                return copier.expect(b'}');
            }
            copier.pass(1);
        }
    }

    /// The value under a name that is remembered. What was told of an object without a key is told again.
    fn value_at(&mut self, place: usize, copier: &mut Copier<'_, '_>, rule: Rule, depth: u32) -> Option<()> {
        if copier.next()? != b'{' || self.pseudonyms.is_some() || self.nested > 0 {
            return self.value(copier, rule, depth);
        }
        if let Some(length) = self.decided.told_length(place, depth, copier.rest()) {
            copier.pass(length);
            return Some(());
        }
        let start = copier.at();
        self.value(copier, rule, depth)?;
        if copier.is_kept_since(start) {
            self.decided.remember_told(place, depth, copier.part(start, copier.at()).as_bytes());
        }
        Some(())
    }

    /// Reads a member's name and its colon.
    fn name(&mut self, copier: &mut Copier<'_, '_>, rule: Rule) -> Option<Decision> {
        copier.next()?;
        if let Some((decision, length)) = self.decided.foresee(rule, self.side, copier.rest()) {
            let is_told = decision.has_plain_name && !(self.pseudonyms.is_some() && decision.may_name_user);
            if is_told {
                copier.pass(length);
                return Some(decision);
            }
        }
        let start = copier.at();
        let traits = copier.string()?;
        let quoted = copier.quoted(start, traits);
        let name = quoted.text().unwrap_or_else(|| Cow::Owned(quoted.raw.to_owned()));
        let decision = self.decided.decide(rule, self.side, &name);
        let is_short = name.len() < NAME_BYTES_PLAIN;
        let told = if self.pseudonyms.is_none() && (is_short || decision.has_plain_name) {
            name
        } else {
            let masked = mask_text(&name, &mut self.count);
            match self.personal(masked, false) {
                Cow::Owned(told) => Cow::Owned(told),
                Cow::Borrowed(_) => name,
            }
        };
        put(copier, quoted, told);
        copier.expect(b':')?;
        Some(decision)
    }

    fn mask(&mut self, copier: &mut Copier<'_, '_>, start: usize) {
        self.count = self.count.saturating_add(1);
        copier.replace(start, MASK);
    }

    /// Withholds a whole value. What is empty, or was withheld by the sender, is told.
    fn withhold(&mut self, copier: &mut Copier<'_, '_>) -> Option<()> {
        let value = copier.skip()?;
        let is_told = matches!(value, "null" | "true" | "false" | "\"\"" | "{}" | "[]" | "\"REDACTED\"")
            || value.strip_prefix('"').and_then(|text| text.strip_suffix('"')) == Some(MASK);
        if !is_told {
            self.mask(copier, copier.at() - value.len());
        }
        Some(())
    }

    fn string(&mut self, copier: &mut Copier<'_, '_>, quoted: Quoted<'_>, rule: Rule) {
        match quoted.text().and_then(|text| self.told(text, rule)) {
            Some(told) => put(copier, quoted, told),
            None => self.mask(copier, quoted.start),
        }
    }

    /// Whether a text that is no JSON surely stays.
    fn tells(&self, traits: Traits, text: &str, rule: Rule) -> bool {
        let keyed = self.pseudonyms.is_some();
        rule.tells_clean_text(self.side, keyed)
            && begins_as_text(text)
            && !(keyed && traits.may_name_user())
            && !(rule == Rule::Url && traits.may_have_query())
            && traits.is_clean(text)
    }

    /// What is told of a text. None when nothing is.
    fn told<'t>(&mut self, text: Cow<'t, str>, rule: Rule) -> Option<Cow<'t, str>> {
        if text.is_empty() || text == MASK || text == "REDACTED" {
            return Some(text);
        }
        match rule {
            Rule::Query | Rule::Withhold => None,
            Rule::AuthorizationOrText if !looks_like_json(&text) => None,
            Rule::Sql => {
                // First, because a token that is taken for names and literals loses its shape.
                let text = mask_text(&text, &mut self.count);
                let (statement, literal_count) = sql::normalise(&text);
                self.count = self.count.saturating_add(literal_count);
                Some(Cow::Owned(statement))
            }
            Rule::Url => {
                let has_query = memchr::memchr2(b'?', b'#', text.as_bytes()).is_some();
                let masked = if has_query {
                    Cow::Owned(mask_url(&text, &mut self.count))
                } else {
                    masked(text, &mut self.count)
                };
                Some(self.personal(masked, false))
            }
            Rule::Address => Some(match self.pseudonyms {
                Some(pseudonyms) => Cow::Owned(pseudonyms.hide_addresses(&text)),
                None => masked(text, &mut self.count),
            }),
            Rule::Scheme => Some(text).filter(|text| text.bytes().all(|byte| byte.is_ascii_alphabetic())),
            Rule::PersonalName => Some(match self.pseudonyms {
                Some(pseudonyms) => Cow::Owned(pseudonyms.hash("name", &text)),
                None => masked(text, &mut self.count),
            }),
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
            | Rule::AuthorizationOrText => self.text(text, rule),
        }
    }

    /// A text that may be JSON itself.
    fn text<'t>(&mut self, text: Cow<'t, str>, rule: Rule) -> Option<Cow<'t, str>> {
        let is_json = looks_like_json(&text);
        if is_json && self.nested < NESTED_MAX {
            if matches!(&*text, "{}" | "[]") {
                return Some(text);
            }
            if let Some(inner) = self.inner(&text, rule) {
                return Some(Cow::Owned(inner));
            }
        }
        let is_marker = text.starts_with("<redacted");
        let is_closed = match rule {
            Rule::NestedOrMask | Rule::Claims | Rule::Output | Rule::Authentication => !is_marker,
            Rule::Input => is_json,
            _ => false,
        };
        if is_closed {
            return None;
        }
        let text = if rule == Rule::Detail && self.side == Side::Azure && quotes_data(&text) {
            Cow::Owned(mask_quoted(&text, &mut self.count))
        } else {
            text
        };
        let masked = masked(text, &mut self.count);
        Some(self.personal(masked, rule == Rule::Detail))
    }

    /// The redacted form of JSON that stood in a string.
    fn inner(&mut self, text: &str, rule: Rule) -> Option<String> {
        let mut nested = Vec::with_capacity(text.len());
        let mut inner = Transcoder {
            side: self.side,
            pseudonyms: self.pseudonyms,
            decided: self.decided,
            count: 0,
            nested: self.nested + 1,
        };
        inner.transcode(text, rule, &mut nested)?;
        self.count = self.count.saturating_add(inner.count);
        Some(String::from_utf8_lossy(&nested).into_owned())
    }

    /// With a pseudonym key, UPNs inside the text, and addresses in messages, are replaced.
    fn personal<'t>(&self, text: Cow<'t, str>, with_addresses: bool) -> Cow<'t, str> {
        match self.pseudonyms.and_then(|pseudonyms| pseudonyms.hide_in_text(&text, with_addresses)) {
            Some(hidden) => Cow::Owned(hidden),
            None => text,
        }
    }
}

/// Puts what is told in the place of a string, unless that is what stands there.
fn put(copier: &mut Copier<'_, '_>, quoted: Quoted<'_>, told: Cow<'_, str>) {
    let stays = !quoted.has_escape && matches!(told, Cow::Borrowed(_));
    if !stays {
        copier.replace(quoted.start, &told);
    }
}

/// The text without secret shapes.
fn masked<'t>(text: Cow<'t, str>, count: &mut u32) -> Cow<'t, str> {
    match mask_text(&text, count) {
        Cow::Owned(masked) => Cow::Owned(masked),
        Cow::Borrowed(_) => text,
    }
}

/// Whether the first byte says that a text is no JSON.
fn begins_as_text(text: &str) -> bool {
    text.bytes().next().is_none_or(|byte| byte.is_ascii_graphic() && !matches!(byte, b'{' | b'['))
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
    if begins_as_text(text) {
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
