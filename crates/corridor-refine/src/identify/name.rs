//! Name: the forms in which principals are named, and their normal form.
//!
//! - In: one name as a record or a directory file gives it.
//! - Out: [`NameForm`], normalised UPN and ids; borrowed where nothing changes.
//! - Invariants: equal principals under one form give equal texts.

use crate::directory::to_guid;
use corridor_model::id::{parse_hex_id, trim_id};
use std::borrow::Cow;

/// What a name turned out to be.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NameForm<'a> {
    /// A user principal name, normalised.
    Upn(Cow<'a, str>),
    /// `<appId>@<tenantId>`: how SQL names applications and managed identities.
    AppOfTenant {
        /// Application (client) id.
        app_id: Cow<'a, str>,
        /// Tenant id.
        tenant_id: Cow<'a, str>,
    },
    /// A GUID of unknown kind: an object id or a client id.
    Guid(Cow<'a, str>),
    /// Any other name.
    Plain(Cow<'a, str>),
}

impl<'a> NameForm<'a> {
    /// None for blanks and the all-zero GUID.
    pub(super) fn parse(raw: &Cow<'a, str>) -> Option<Self> {
        let text = trim(raw);
        if text.is_empty() {
            return None;
        }
        if let Some(value) = parse_hex_id(trim_id(&text)) {
            return (value != 0).then(|| Self::Guid(guid_text(text, value)));
        }
        if let Some((app, tenant)) = text.split_once('@')
            && let (Some(app), Some(tenant)) = (parse_hex_id(trim_id(app)), parse_hex_id(trim_id(tenant)))
        {
            return Some(Self::AppOfTenant {
                app_id: to_guid(app).into(),
                tenant_id: to_guid(tenant).into(),
            });
        }
        Some(match normal_upn(&text) {
            Some(Some(upn)) => Self::Upn(Cow::Owned(upn)),
            Some(None) => Self::Upn(text),
            None => Self::Plain(text),
        })
    }
}

/// A user principal name in its normal form: trimmed, lower case, guests
/// (`bob_fabrikam.example#EXT#@contoso.onmicrosoft.com`) under their home name (`bob@fabrikam.example`).
/// None when it is not one.
pub fn normalise_upn(raw: &str) -> Option<Cow<'_, str>> {
    let text = raw.trim();
    Some(match normal_upn(text)? {
        Some(upn) => Cow::Owned(upn),
        None => Cow::Borrowed(text),
    })
}

/// Outer None: no UPN. Inner None: the text is its own normal form.
fn normal_upn(text: &str) -> Option<Option<String>> {
    let (local, domain) = text.rsplit_once('@')?;
    let is_plain = |part: &str| {
        !part.is_empty()
            && !part.chars().any(|c| {
                matches!(c, '/' | '\\' | '"' | '<' | '>' | ':' | ';' | ',')
                    || c.is_whitespace()
                    || c.is_control()
            })
    };
    if !is_plain(local) || !is_plain(domain) || local.contains('@') || !domain.contains('.') {
        return None;
    }
    if domain.starts_with('.') || domain.ends_with('.') {
        return None;
    }
    let head = local.len().checked_sub("#ext#".len()).and_then(|at| local.get(at..).map(|tail| (at, tail)));
    if let Some((at, tail)) = head
        && tail.eq_ignore_ascii_case("#ext#")
        && let Some((name, home)) = local[..at].rsplit_once('_')
        && !name.is_empty()
        && home.contains('.')
    {
        return Some(Some(format!("{name}@{home}").to_lowercase()));
    }
    Some(text.chars().any(char::is_uppercase).then(|| text.to_lowercase()))
}

/// An Entra id: GUIDs lower case with hyphens, other text trimmed. None when missing.
pub(super) fn entra_id<'a>(raw: Option<&Cow<'a, str>>) -> Option<Cow<'a, str>> {
    let text = trim(raw?);
    match parse_hex_id(trim_id(&text)) {
        Some(0) => None,
        Some(value) => Some(guid_text(text, value)),
        None => (!text.is_empty()).then_some(text),
    }
}

/// A text without surrounding blanks; None when blank.
pub(super) fn non_blank<'a>(raw: Option<&Cow<'a, str>>) -> Option<Cow<'a, str>> {
    Some(trim(raw?)).filter(|text| !text.is_empty())
}

fn guid_text(text: Cow<'_, str>, value: u128) -> Cow<'_, str> {
    let is_normal = text.len() == 36 && !text.bytes().any(|byte| byte.is_ascii_uppercase());
    if is_normal { text } else { Cow::Owned(to_guid(value)) }
}

fn trim<'a>(raw: &Cow<'a, str>) -> Cow<'a, str> {
    match raw {
        Cow::Borrowed(text) => Cow::Borrowed(text.trim()),
        Cow::Owned(text) => Cow::Owned(text.trim().to_owned()),
    }
}
