//! Pseudonym: keyed hashes in place of personal values, the same for the same person on both sides.
//!
//! - In: client addresses, user names and free text.
//! - Out: `HMAC-SHA-256(key, domain || 0x1f || value)`, the first 32 hex digits.
//! - Invariants: values are brought to one form first; the key never prints.

use super::Pseudonymiser;
use crate::identify::normalise_upn;
use corridor_model::{Event, PrincipalType};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::borrow::Cow;
use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr};

/// Hex digits of a pseudonym: 128 bits, as many as a GUID.
const DIGITS: usize = 32;

impl Pseudonymiser {
    /// The pseudonym of one value. Domains keep kinds of values apart: `upn`, `ip`, `name`.
    pub fn hash(&self, domain: &str, value: &str) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.key).expect("HMAC takes keys of any length");
        mac.update(domain.as_bytes());
        mac.update(&[0x1f]);
        mac.update(canonical(domain, value).as_bytes());
        let mut digits = hex::encode(mac.finalize().into_bytes());
        digits.truncate(DIGITS);
        digits
    }

    /// Replaces client IP, UPNs and names in the event by pseudonyms and sets `pseudonym_key_id`.
    pub fn apply(&self, event: &mut Event<'_>) {
        let is_user = event.principal_type.as_deref() == Some(PrincipalType::User.as_str());
        if let Some(ip) = &mut event.client_ip {
            *ip = Cow::Owned(self.hash("ip", ip));
        }
        if let Some(name) = &mut event.principal_name
            && is_user
            && normalise_upn(name).is_none()
        {
            *name = Cow::Owned(self.hash("name", name));
        }
        let is_address_text = |column: &str| matches!(column, "error_message" | "extra");
        event.for_each_text_mut(|column, text| {
            if let Some(hidden) = self.hide_in_text(text, is_address_text(column)) {
                *text = Cow::Owned(hidden);
            }
        });
        event.pseudonym_key_id = Some(Cow::Owned(self.key_id.clone()));
    }

    /// The text with the UPNs inside it, and client addresses if asked, replaced. None when there are none.
    pub(super) fn hide_in_text(&self, text: &str, with_addresses: bool) -> Option<String> {
        let has_upn = memchr::memchr(b'@', text.as_bytes()).is_some();
        if !has_upn && !with_addresses {
            return None;
        }
        let is_part =
            |c: char| c.is_alphanumeric() || matches!(c, '.' | '_' | '-' | '+' | '@' | '#' | ':' | '%');
        let mut hidden = String::new();
        let mut kept = 0;
        let mut starts = text.char_indices().peekable();
        while let Some((start, c)) = starts.next() {
            if !is_part(c) {
                continue;
            }
            let mut end = start + c.len_utf8();
            while let Some((at, next)) = starts.next_if(|(_, next)| is_part(*next)) {
                end = at + next.len_utf8();
            }
            let Some((range, pseudonym)) = self.hide_word(&text[start..end], with_addresses) else {
                continue;
            };
            hidden.push_str(&text[kept..start + range.start]);
            hidden.push_str(&pseudonym);
            kept = start + range.end;
        }
        if kept == 0 {
            return None;
        }
        hidden.push_str(&text[kept..]);
        Some(hidden)
    }

    fn hide_word(&self, word: &str, with_addresses: bool) -> Option<(std::ops::Range<usize>, String)> {
        let end = word.trim_end_matches(['.', ':', '-', '#', '%']).len();
        // `consumer:ana@contoso.example` and `user:ana@…` keep their prefix.
        let start = match word[..end].rfind(':') {
            Some(colon) if word[colon..end].contains('@') => colon + 1,
            _ => 0,
        };
        let core = word.get(start..end)?;
        if core.contains('@') {
            let plain = core.replace("%40", "@");
            normalise_upn(&plain)?;
            return Some((start..end, self.hash("upn", &plain)));
        }
        if !with_addresses {
            return None;
        }
        let address: IpAddr = core.parse().ok()?;
        Some((start..end, self.hash("ip", &address.to_string())))
    }

    /// One address, or several separated by commas as in `x-forwarded-for`.
    pub(super) fn hide_addresses(&self, text: &str) -> String {
        let mut hidden = String::new();
        for address in text.split(',') {
            let separator = if hidden.is_empty() { "" } else { ", " };
            write!(hidden, "{separator}{}", self.hash("ip", address)).expect("text grows in memory");
        }
        hidden
    }
}

/// The one form of a value that is hashed.
fn canonical<'v>(domain: &str, value: &'v str) -> Cow<'v, str> {
    let value = value.trim();
    match domain {
        "upn" => normalise_upn(value).unwrap_or_else(|| Cow::Owned(value.to_lowercase())),
        "ip" => parse_address(value).map_or(Cow::Borrowed(value), |address| Cow::Owned(address.to_string())),
        _ => Cow::Borrowed(value),
    }
}

/// An address, with or without port and brackets; IPv4 inside IPv6 becomes IPv4. Rust writes IPv6 as RFC 5952.
fn parse_address(text: &str) -> Option<IpAddr> {
    let bracketed = text.strip_prefix('[').and_then(|rest| rest.split_once(']')).map(|(address, _)| address);
    let bare = bracketed.unwrap_or(text);
    let bare = bare.split('%').next().unwrap_or(bare);
    let parsed = bare.parse::<IpAddr>().ok().or_else(|| {
        let (address, port) = bare.rsplit_once(':')?;
        port.parse::<u16>().ok()?;
        address.parse::<Ipv4Addr>().ok().map(IpAddr::V4)
    })?;
    Some(parsed.to_canonical())
}
