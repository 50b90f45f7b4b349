//! Identify: the names a record gives its caller become one canonical principal.
//!
//! - In: [`Claims`], as either parser found them, and the directory.
//! - Out: [`Identity`]: canonical id, type, name and the keys for comparison.
//! - Invariants: tenant/object id, else tenant/app id, else normalised UPN, else Kong consumer, else SQL login.

mod name;
mod principal;

use crate::directory::Directory;
use corridor_model::{IdentityBasis, IdentityKeys, PrincipalType};
pub use name::normalise_upn;
use principal::Draft;
use std::borrow::Cow;

/// The names that one record gives its caller. All optional; blanks count as missing.
#[derive(Debug, Clone, Default)]
pub struct Claims<'a> {
    /// Entra tenant id (`tid`).
    pub tenant_id: Option<Cow<'a, str>>,
    /// Entra object id (`oid`).
    pub object_id: Option<Cow<'a, str>>,
    /// Client application id (`azp`, `appid`). For a user this is the program, not the principal.
    pub app_id: Option<Cow<'a, str>>,
    /// User principal name, preferred user name, or SQL name of an Entra principal.
    pub upn: Option<Cow<'a, str>>,
    /// Display name.
    pub name: Option<Cow<'a, str>>,
    /// Kong consumer id.
    pub consumer_id: Option<Cow<'a, str>>,
    /// Kong consumer user name.
    pub consumer_name: Option<Cow<'a, str>>,
    /// Kong consumer `custom_id`: an object id, an app id or a UPN, as the operator chose.
    pub custom_id: Option<Cow<'a, str>>,
    /// SQL login or `<appId>@<tenantId>` or UPN from SQL records.
    pub sql_name: Option<Cow<'a, str>>,
    /// Object or client id decoded from a SQL SID: a secondary hint.
    pub sid_id: Option<Cow<'a, str>>,
    /// What kind of principal the record says it is (`idtyp`, service principal sign-in …).
    pub type_hint: Option<PrincipalType>,
}

/// A resolved principal.
#[derive(Debug, Clone)]
pub struct Identity<'a> {
    /// Canonical id: `tenant/object`, `tenant/app:appid`, UPN, `consumer:…` or `sql:…`, lower case for Entra ids.
    pub principal_id: Option<Cow<'a, str>>,
    /// Kind.
    pub principal_type: PrincipalType,
    /// A name for people: UPN, display name or consumer name.
    pub principal_name: Option<Cow<'a, str>>,
    /// Entra tenant, lower case.
    pub tenant_id: Option<Cow<'a, str>>,
    /// Entra object id, lower case; completed from the directory.
    pub object_id: Option<Cow<'a, str>>,
    /// Client application id, lower case.
    pub app_id: Option<Cow<'a, str>>,
    /// How sure.
    pub basis: IdentityBasis,
    /// For comparison with the other side.
    pub keys: IdentityKeys,
    /// Whether the directory knows the principal. None when there is no `principals.csv`.
    pub in_directory: Option<bool>,
}

impl Identity<'_> {
    /// Nobody.
    pub fn none() -> Self {
        Self {
            principal_id: None,
            principal_type: PrincipalType::Unknown,
            principal_name: None,
            tenant_id: None,
            object_id: None,
            app_id: None,
            basis: IdentityBasis::None,
            keys: IdentityKeys::default(),
            in_directory: None,
        }
    }
}

/// Resolves claims to a principal. `basis` is what the record allows at most; without any usable name the
/// result is [`Identity::none`].
pub fn resolve<'a>(claims: &Claims<'a>, basis: IdentityBasis, directory: &'a Directory) -> Identity<'a> {
    let mut draft = Draft::from_claims(claims);
    if !draft.has_entra_name(claims) {
        draft.read_consumer(claims, directory);
    }
    draft.read_sql_name(claims);
    draft.complete(claims, directory);
    draft.finish(claims, basis, directory)
}

#[cfg(test)]
mod tests;
