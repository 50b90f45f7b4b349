//! Query: the names of the query parameters; their values are never kept.
//!
//! - In: `request.querystring` (decoded) and the query of `request.uri` (as received): plugins change the first only.
//! - Out: names, sorted, without repeats, separated by commas, at most [`NAMES_BYTES_MAX`] bytes.

use crate::object::{FromObject, deserialize_object};
use crate::scalar::{Key, Scalar};
use serde::de::MapAccess;
use std::borrow::Cow;

/// Longest stored list of names.
const NAMES_BYTES_MAX: usize = 2_048;
/// Longest stored name.
const NAME_BYTES_MAX: usize = 64;

/// Names in `request.querystring`.
#[derive(Debug, Default)]
pub(super) struct QueryNames<'a> {
    is_object: bool,
    names: Vec<Cow<'a, str>>,
    /// Parameters with a value, which is withheld.
    pub(super) values_withheld: u32,
}

impl<'de> FromObject<'de> for QueryNames<'de> {
    fn is_object(&self) -> bool {
        self.is_object
    }

    fn read_members<A: MapAccess<'de>>(&mut self, mut map: A) -> Result<(), A::Error> {
        self.is_object = true;
        while let Some(Key(name)) = map.next_key()? {
            let value: Scalar<'de> = map.next_value()?;
            self.values_withheld += u32::from(value.as_bool() != Some(true) && !value.is_null());
            self.names.push(name);
        }
        Ok(())
    }
}

deserialize_object!(QueryNames);

impl QueryNames<'_> {
    /// Whether a parameter of that name was sent, here or in the raw query.
    pub(super) fn contains(&self, raw_query: &str, wanted: impl Fn(&str) -> bool) -> bool {
        self.names.iter().any(|name| wanted(name)) || raw_names(raw_query).any(|name| wanted(&name))
    }

    /// The list for the column. None when there is no query.
    pub(super) fn list(&self, raw_query: &str) -> Option<String> {
        if self.names.is_empty() && raw_query.is_empty() {
            return None;
        }
        let mut names: Vec<Cow<'_, str>> = self.names.iter().map(|name| Cow::Borrowed(&**name)).collect();
        names.extend(raw_names(raw_query));
        names.iter_mut().for_each(clean);
        names.retain(|name| !name.is_empty());
        names.sort_unstable();
        names.dedup();
        let mut list = String::new();
        for name in &names {
            if list.len() + name.len() + 1 > NAMES_BYTES_MAX {
                break;
            }
            if !list.is_empty() {
                list.push(',');
            }
            list.push_str(name);
        }
        (!list.is_empty()).then_some(list)
    }
}

fn raw_names(query: &str) -> impl Iterator<Item = Cow<'_, str>> {
    query.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
        let name = pair.split_once('=').map_or(pair, |(name, _)| name);
        percent_decode(name)
    })
}

/// A name that cannot break the list: short, without commas and line breaks.
fn clean(name: &mut Cow<'_, str>) {
    if name.len() > NAME_BYTES_MAX {
        let cut = (0..=NAME_BYTES_MAX).rev().find(|&at| name.is_char_boundary(at)).unwrap_or(0);
        name.to_mut().truncate(cut);
    }
    if name.contains(|c: char| c == ',' || c.is_control()) {
        *name = Cow::Owned(name.replace(|c: char| c == ',' || c.is_control(), "_"));
    }
}

fn percent_decode(name: &str) -> Cow<'_, str> {
    if !name.bytes().any(|byte| matches!(byte, b'%' | b'+')) {
        return Cow::Borrowed(name);
    }
    let bytes = name.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        at += 1;
        match (byte, bytes.get(at..at + 2).and_then(hex_pair)) {
            (b'%', Some(value)) => {
                decoded.push(value);
                at += 2;
            }
            (b'+', _) => decoded.push(b' '),
            _ => decoded.push(byte),
        }
    }
    Cow::Owned(String::from_utf8_lossy(&decoded).into_owned())
}

fn hex_pair(pair: &[u8]) -> Option<u8> {
    let digit = |byte: u8| (byte as char).to_digit(16);
    u8::try_from(digit(pair[0])? * 16 + digit(pair[1])?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(json: &str, raw: &str) -> Option<String> {
        serde_json::from_str::<QueryNames<'_>>(json).unwrap().list(raw)
    }

    #[test]
    fn names_come_from_both_places_sorted_and_without_values() {
        let got = list(
            r#"{"tag":["a",true],"dryRun":true,"api-version":"1"}"#,
            "api-version=1&apikey=s3cret&%64ryRun",
        );
        assert_eq!(got.as_deref(), Some("api-version,apikey,dryRun,tag"));
        assert_eq!(list("{}", ""), None);
        assert_eq!(list("[]", "&=x&"), None);
        assert_eq!(list(r#"{"a,b":"","%ZZ":"1"}"#, "%2&%").as_deref(), Some("%,%2,%ZZ,a_b"));
    }

    #[test]
    fn long_names_are_cut_and_values_counted() {
        let json = format!(r#"{{"{}":"v","flag":true}}"#, "é".repeat(60));
        let query: QueryNames<'_> = serde_json::from_str(&json).unwrap();
        assert_eq!(query.values_withheld, 1);
        assert!(query.list("").unwrap().len() <= NAME_BYTES_MAX + 5);
    }
}
