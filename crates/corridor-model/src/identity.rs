//! Identity: the canonical principal, and how two sides' principals are compared.

use crate::id::Key128;
use serde::{Deserialize, Serialize};

/// Kind of principal (`principal_type`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum PrincipalType {
    /// A person.
    User,
    /// An application with its own credential.
    ServicePrincipal,
    /// A managed identity, such as the workspace's.
    ManagedIdentity,
    /// A Kong consumer that is not linked to Entra.
    Consumer,
    /// A SQL login.
    SqlLogin,
    /// Kong's anonymous fallback or nobody.
    Anonymous,
    /// Somebody, but of unknown kind.
    Unknown,
}

impl PrincipalType {
    /// The stored text.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::ServicePrincipal => "service_principal",
            Self::ManagedIdentity => "managed_identity",
            Self::Consumer => "consumer",
            Self::SqlLogin => "sql_login",
            Self::Anonymous => "anonymous",
            Self::Unknown => "unknown",
        }
    }
}

/// How sure the identity is (`identity_basis`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum IdentityBasis {
    /// Authenticated by the system that logged it.
    Verified,
    /// Claimed by the caller only (for instance the claims of a refused token).
    Claimed,
    /// Known by configuration (the workspace's managed identity in `workspaces.csv`).
    Configured,
    /// Nobody is known.
    None,
}

impl IdentityBasis {
    /// The stored text.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Verified => "verified",
            Self::Claimed => "claimed",
            Self::Configured => "configured",
            Self::None => "none",
        }
    }
}

/// Result of comparing the principals of two sides (`identity_match`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum IdentityMatch {
    /// The same principal.
    Equal,
    /// Two known, different principals.
    Different,
    /// One side is unknown, or the two are named in ways that cannot be compared.
    Unknown,
}

impl IdentityMatch {
    /// The stored text.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Equal => "equal",
            Self::Different => "different",
            Self::Unknown => "unknown",
        }
    }
}

/// The names one principal is known by, hashed for comparison. `refine` fills as many as the event and the
/// directory give, so that an object id on one side meets a client id on the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct IdentityKeys {
    /// Entra object id.
    pub object_id: Option<Key128>,
    /// Entra application (client) id **of the principal itself**, never of the program a user acts through.
    pub app_id: Option<Key128>,
    /// Normalised user principal name.
    pub upn: Option<Key128>,
    /// Kong consumer or SQL login that no Entra id is known for, or an id that may be an object or a client id.
    pub local: Option<Key128>,
}

impl IdentityKeys {
    /// True when nothing names the principal.
    pub fn is_unknown(&self) -> bool {
        *self == Self::default()
    }

    /// Compares name by name: any shared name that agrees is `Equal`; else any that differs is `Different`.
    /// `local` names of the two systems are not comparable and only count when they agree, also with an object
    /// or application id of the other side: an id of unknown kind may be either.
    pub fn compare(&self, other: &Self) -> IdentityMatch {
        let pairs = [(self.object_id, other.object_id), (self.app_id, other.app_id), (self.upn, other.upn)];
        let mut result = IdentityMatch::Unknown;
        for (mine, theirs) in pairs {
            if let (Some(mine), Some(theirs)) = (mine, theirs) {
                if mine == theirs {
                    return IdentityMatch::Equal;
                }
                result = IdentityMatch::Different;
            }
        }
        let is_known_as = |local: Option<Key128>, keys: &Self| {
            local.is_some() && [keys.local, keys.object_id, keys.app_id].contains(&local)
        };
        if is_known_as(self.local, other) || is_known_as(other.local, self) {
            return IdentityMatch::Equal;
        }
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn principals_compare_by_any_shared_name() {
        let key = |n| Some(Key128::new(n));
        let object = IdentityKeys { object_id: key(1), ..Default::default() };
        let app = IdentityKeys { app_id: key(2), ..Default::default() };
        let both = IdentityKeys { object_id: key(1), app_id: key(2), ..Default::default() };
        let other = IdentityKeys { object_id: key(9), ..Default::default() };
        assert_eq!(object.compare(&both), IdentityMatch::Equal);
        assert_eq!(app.compare(&both), IdentityMatch::Equal);
        assert_eq!(object.compare(&app), IdentityMatch::Unknown);
        assert_eq!(other.compare(&both), IdentityMatch::Different);
        assert_eq!(IdentityKeys::default().compare(&both), IdentityMatch::Unknown);
        let unknown_kind = |n| IdentityKeys { local: key(n), ..Default::default() };
        assert_eq!(unknown_kind(2).compare(&app), IdentityMatch::Equal);
        assert_eq!(object.compare(&unknown_kind(1)), IdentityMatch::Equal);
        assert_eq!(
            unknown_kind(3).compare(&both),
            IdentityMatch::Unknown,
            "an id of unknown kind never differs"
        );
    }
}
