//! Directory: the operator's files about principals, workspaces, the gateway and route policies.
//!
//! - In: the bytes of `principals.csv`, `workspaces.csv`, `kong.yaml`, `routes.csv` (rulings.md, *Directory files*).
//! - Out: look-ups; all problems at once, each naming file, line and column.
//! - Invariants: no I/O here; the version is the SHA-256 of the files, and stands in every row.

mod deck;
mod gateway;
mod principals;
mod routes;
mod table;
mod workspaces;

use deck::Dump;
use gateway::Gateway;
use principals::Principals;
use routes::Routes;
use sha2::{Digest, Sha256};
pub(crate) use table::to_guid;
use workspaces::Workspaces;

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
    pub kind: Option<&'static str>,
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
    /// Whether it is bound to a consumer or consumer group: it guards some callers only, perhaps not this one.
    pub is_partial: bool,
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
    principals: Option<Principals>,
    workspaces: Workspaces,
    gateway: Option<Gateway>,
    routes: Routes,
    /// Host names that `routes.csv` gives, when there is no dump.
    hosts: Gateway,
}

impl Directory {
    /// Loads the files. Warnings do not stop it; any other problem does, and all are returned together.
    pub fn load(files: &DirectoryFiles) -> Result<(Self, Vec<DirectoryProblem>), Vec<DirectoryProblem>> {
        let mut problems = Vec::new();
        let principals = files.principals.as_deref().map(|bytes| Principals::load(bytes, &mut problems));
        let nobody = Principals::default();
        let known = principals.as_ref().unwrap_or(&nobody);
        let workspaces = files
            .workspaces
            .as_deref()
            .map(|bytes| Workspaces::load(bytes, known, &mut problems))
            .unwrap_or_default();
        let gateway = files.kong.as_deref().map(|bytes| load_gateway(bytes, &mut problems));
        let mut routes =
            files.routes.as_deref().map(|bytes| Routes::load(bytes, &mut problems)).unwrap_or_default();
        if problems.iter().any(|problem| !problem.is_warning) {
            return Err(problems);
        }
        let mut hosts = Gateway::default();
        routes.policies.iter().for_each(|policy| hosts.add_gateway_hosts(&policy.hosts));
        if let Some(gateway) = &gateway {
            gateway.route_aliases.iter().for_each(|(id, name)| routes.alias_route(id, name));
            gateway.service_aliases.iter().for_each(|(id, name)| routes.alias_service(id, name));
        }
        Ok((Self { version: version_of(files), principals, workspaces, gateway, routes, hosts }, problems))
    }

    /// SHA-256 over the files, 64 hex digits; None for an empty directory.
    pub fn version(&self) -> Option<&str> {
        self.version.as_deref()
    }

    /// Whether `principals.csv` was given: only then is an unknown principal a finding.
    pub fn has_principals(&self) -> bool {
        self.principals.is_some()
    }

    /// By Entra object id, in any case, with or without braces.
    pub fn principal_by_object_id(&self, object_id: &str) -> Option<&PrincipalEntry> {
        self.principals.as_ref()?.by_object_id(object_id)
    }

    /// By application (client) id.
    pub fn principal_by_app_id(&self, app_id: &str) -> Option<&PrincipalEntry> {
        self.principals.as_ref()?.by_app_id(app_id)
    }

    /// By user principal name, in any case; guest forms are normalised.
    pub fn principal_by_upn(&self, upn: &str) -> Option<&PrincipalEntry> {
        self.principals.as_ref()?.by_upn(upn)
    }

    /// By workspace name or full resource id (pools resolve to their workspace), in any case.
    pub fn workspace(&self, name_or_resource_id: &str) -> Option<&WorkspaceEntry> {
        self.workspaces.find(name_or_resource_id)
    }

    /// The workspace whose managed identity has this client id or object id.
    pub fn workspace_by_identity(&self, id: &str) -> Option<&WorkspaceEntry> {
        self.workspaces.by_identity(id)
    }

    /// Whether a decK dump was given.
    pub fn has_gateway(&self) -> bool {
        self.gateway.is_some()
    }

    /// The plugins that guard a route, by route id or name and service id or name. Empty without a dump, or
    /// when the dump does not know the route (then only the service's and the global ones). Dumps rarely hold
    /// ids: give the name where there is one.
    pub fn guards(&self, route: Option<&str>, service: Option<&str>) -> &[Guard] {
        self.gateway.as_ref().map_or(&[], |gateway| gateway.guards(route, service))
    }

    /// A consumer by id, else by user name.
    pub fn consumer(&self, id: Option<&str>, username: Option<&str>) -> Option<&ConsumerEntry> {
        self.gateway.as_ref()?.consumer(id, username)
    }

    /// The groups of a consumer, separated by commas. None when it has none.
    pub fn consumer_groups(&self, id: Option<&str>, username: Option<&str>) -> Option<&str> {
        self.gateway.as_ref()?.consumer_groups(id, username)
    }

    /// Whether the host is one of a Kong route (callers reach the gateway there). No port, any case.
    pub fn is_gateway_host(&self, host: &str) -> bool {
        self.hosts.is_gateway_host(host)
            || self.gateway.as_ref().is_some_and(|gateway| gateway.is_gateway_host(host))
    }

    /// Whether the host is one of a Kong service (an activity that calls it goes round the gateway).
    pub fn is_service_host(&self, host: &str) -> bool {
        self.gateway.as_ref().is_some_and(|gateway| gateway.is_service_host(host))
    }

    /// Policy of a route by id or name.
    pub fn route_policy(&self, route: Option<&str>, service: Option<&str>) -> Option<&RoutePolicy> {
        self.routes.find(route, service)
    }

    /// Whether `routes.csv` marks eligible routes at all (then other routes are not eligible).
    pub fn marks_eligible_routes(&self) -> bool {
        self.routes.marks_eligible
    }
}

fn load_gateway(bytes: &[u8], problems: &mut Vec<DirectoryProblem>) -> Gateway {
    table::text_of(deck::FILE, bytes, problems)
        .map(|text| Gateway::new(Dump::read(text, problems)))
        .unwrap_or_default()
}

/// SHA-256 over name, length and bytes of each file.
fn version_of(files: &DirectoryFiles) -> Option<String> {
    let named = [
        ("kong.yaml", &files.kong),
        ("principals.csv", &files.principals),
        ("routes.csv", &files.routes),
        ("workspaces.csv", &files.workspaces),
    ];
    let mut hasher = Sha256::new();
    let mut file_count = 0;
    for (name, bytes) in named {
        let Some(bytes) = bytes else { continue };
        file_count += 1;
        for part in [name.as_bytes(), bytes] {
            hasher.update((part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
    }
    (file_count > 0).then(|| hex::encode(hasher.finalize()))
}

#[cfg(test)]
mod tests;
