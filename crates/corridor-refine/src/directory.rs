//! Directory: the operator's files about principals, workspaces, the gateway and route policies.
//!
//! - In: the bytes of `principals.csv`, `workspaces.csv`, `kong.yaml`, `routes.csv` (rulings.md, *Directory files*).
//! - Out: look-ups; all problems at once, each naming file, line and column.
//! - Invariants: no I/O here; the version is the SHA-256 of the files, and stands in every row.

use std::collections::HashMap;

/// The files' contents; None where a file is absent. All are optional.
#[derive(Debug, Default, Clone)]
pub struct DirectoryFiles {
    /// `principals.csv`
    pub principals: Option<Vec<u8>>,
    /// `workspaces.csv`
    pub workspaces: Option<Vec<u8>>,
    /// `kong.yaml`
    pub kong: Option<Vec<u8>>,
    /// `routes.csv`
    pub routes: Option<Vec<u8>>,
}

/// A problem in a directory file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}: {message}")]
pub struct DirectoryProblem {
    /// File name.
    pub file: &'static str,
    /// Line, from 1; 0 when the whole file is meant.
    pub line: u64,
    /// What is wrong, with the column's name, and what is expected.
    pub message: String,
    /// True when the file can still be used (an unknown column).
    pub is_warning: bool,
}

/// A row of `principals.csv`. Ids and UPN are normalised (lower case, no braces).
#[derive(Debug, Clone, Default)]
#[expect(missing_docs, reason = "the columns of principals.csv, described in rulings.md and the README")]
pub struct PrincipalEntry {
    pub object_id: Option<String>,
    pub app_id: Option<String>,
    pub upn: Option<String>,
    pub display_name: Option<String>,
    /// `user`, `service_principal`, `managed_identity` …
    pub kind: Option<String>,
    pub tenant_id: Option<String>,
    pub enabled: Option<bool>,
    pub roles: Vec<String>,
    pub groups: Vec<String>,
}

/// A row of `workspaces.csv`: a workspace and its managed identity.
#[derive(Debug, Clone, Default)]
#[expect(missing_docs, reason = "the columns of workspaces.csv, described in rulings.md and the README")]
pub struct WorkspaceEntry {
    pub workspace: String,
    pub resource_id: Option<String>,
    pub tenant_id: Option<String>,
    pub client_id: Option<String>,
    pub object_id: Option<String>,
}

/// A row of `routes.csv`: what protection a route must have.
#[derive(Debug, Clone, Default)]
pub struct RoutePolicy {
    /// Route name or id.
    pub route: String,
    /// Service name.
    pub service: Option<String>,
    /// Host names, lower case.
    pub hosts: Vec<String>,
    /// Whether callers must be authenticated. None when the file does not say.
    pub required_auth: Option<bool>,
    /// Roles a caller must have.
    pub required_roles: Vec<String>,
    /// Whether events of this route can have a Synapse partner. None when the file does not say.
    pub join_eligible: Option<bool>,
    /// Owner, for people.
    pub owner: Option<String>,
}

/// A plugin of the decK dump that guards a route: on the route, its service, or global, the most specific one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Guard {
    /// Plugin name, for instance `acl`.
    pub plugin: String,
    /// Configured refusal status (`error_code`, `status_code`, `status`), if the dump has one.
    pub status: Option<u16>,
    /// Key names of key-auth, lower case.
    pub key_names: Vec<String>,
    /// Guards that only log (`mode: log-only` and the like).
    pub is_log_only: bool,
    /// Whether `anonymous` is set, so that failed authentication goes on.
    pub allows_anonymous: bool,
}

/// A consumer of the decK dump.
#[derive(Debug, Clone, Default)]
#[expect(missing_docs, reason = "fields of a decK consumer")]
pub struct ConsumerEntry {
    pub id: Option<String>,
    pub username: Option<String>,
    pub custom_id: Option<String>,
    pub groups: Vec<String>,
    /// Credential kinds it holds, for instance `key-auth`, `jwt`.
    pub credential_kinds: Vec<String>,
}

/// The directory.
#[derive(Debug, Default)]
pub struct Directory {
    version: Option<String>,
    principals: Vec<PrincipalEntry>,
    workspaces: HashMap<String, WorkspaceEntry>,
}

impl Directory {
    /// Loads the files. Warnings do not stop it; any other problem does, and all are returned together.
    pub fn load(_files: &DirectoryFiles) -> Result<(Self, Vec<DirectoryProblem>), Vec<DirectoryProblem>> {
        Ok((Self::default(), Vec::new()))
    }

    /// SHA-256 over the files, 64 hex digits; None for an empty directory.
    pub fn version(&self) -> Option<&str> {
        self.version.as_deref()
    }

    /// Whether `principals.csv` was given: only then is an unknown principal a finding.
    pub fn has_principals(&self) -> bool {
        !self.principals.is_empty()
    }

    /// By Entra object id, in any case, with or without braces.
    pub fn principal_by_object_id(&self, _object_id: &str) -> Option<&PrincipalEntry> {
        None
    }

    /// By application (client) id.
    pub fn principal_by_app_id(&self, _app_id: &str) -> Option<&PrincipalEntry> {
        None
    }

    /// By user principal name, in any case; guest forms are normalised.
    pub fn principal_by_upn(&self, _upn: &str) -> Option<&PrincipalEntry> {
        None
    }

    /// By workspace name or full resource id (pools resolve to their workspace), in any case.
    pub fn workspace(&self, name_or_resource_id: &str) -> Option<&WorkspaceEntry> {
        self.workspaces.get(name_or_resource_id)
    }

    /// Whether a decK dump was given.
    pub fn has_gateway(&self) -> bool {
        false
    }

    /// The plugins that guard a route, by route id or name and service id or name. Empty without a dump, or
    /// when the dump does not know the route (then only the service's and the global ones).
    pub fn guards(&self, _route: Option<&str>, _service: Option<&str>) -> &[Guard] {
        &[]
    }

    /// A consumer by id, else by user name.
    pub fn consumer(&self, _id: Option<&str>, _username: Option<&str>) -> Option<&ConsumerEntry> {
        None
    }

    /// Whether the host is one of a Kong route (callers reach the gateway there). No port, any case.
    pub fn is_gateway_host(&self, _host: &str) -> bool {
        false
    }

    /// Whether the host is one of a Kong service (an activity that calls it goes round the gateway).
    pub fn is_service_host(&self, _host: &str) -> bool {
        false
    }

    /// Policy of a route by id or name.
    pub fn route_policy(&self, _route: Option<&str>, _service: Option<&str>) -> Option<&RoutePolicy> {
        None
    }

    /// Whether `routes.csv` marks eligible routes at all (then other routes are not eligible).
    pub fn marks_eligible_routes(&self) -> bool {
        false
    }
}
