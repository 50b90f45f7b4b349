//! Principals: `principals.csv` becomes entries that any of their names finds.
//!
//! - In: the bytes of the file.
//! - Out: [`Principals`]; problems.
//! - Invariants: ids and UPN are normalised; the first row that claims a name keeps it.

use super::table::{Table, warning};
use super::{DirectoryProblem, PrincipalEntry};
use crate::identify::normalise_upn;
use corridor_model::Key128;
use foldhash::HashMap;

const FILE: &str = "principals.csv";
const COLUMNS: &[&str] =
    &["object_id", "app_id", "upn", "display_name", "type", "tenant_id", "enabled", "roles", "groups"];
const TYPES: &str = "user, guest, service_principal, managed_identity or group";

/// The rows of `principals.csv`, found by each name.
#[derive(Debug, Default)]
pub(super) struct Principals {
    pub(super) entries: Vec<PrincipalEntry>,
    by_object_id: HashMap<Key128, usize>,
    by_app_id: HashMap<Key128, usize>,
    by_upn: HashMap<String, usize>,
}

impl Principals {
    pub(super) fn load(bytes: &[u8], problems: &mut Vec<DirectoryProblem>) -> Self {
        let mut principals = Self::default();
        let needed = ["object_id", "app_id", "upn"];
        let Some(table) = Table::read(FILE, bytes, COLUMNS, &needed, problems) else { return principals };
        for row in table.rows() {
            let problems_before = problems.len();
            let entry = PrincipalEntry {
                object_id: row.guid("object_id", problems),
                app_id: row.guid("app_id", problems),
                upn: row.text("upn").and_then(|cell| {
                    let upn = normalise_upn(cell);
                    if upn.is_none() {
                        problems.push(row.wrong("upn", "a user principal name (name@domain)"));
                    }
                    upn.map(|upn| upn.into_owned())
                }),
                display_name: row.text("display_name").map(str::to_owned),
                kind: row.text("type").and_then(|cell| {
                    let kind = parse_kind(cell);
                    if kind.is_none() {
                        problems.push(row.wrong("type", TYPES));
                    }
                    kind
                }),
                tenant_id: row.guid("tenant_id", problems),
                enabled: row.flag("enabled", problems),
                roles: row.list("roles"),
                groups: row.list("groups"),
            };
            let is_named = entry.object_id.is_some() || entry.app_id.is_some() || entry.upn.is_some();
            if problems.len() == problems_before && !is_named {
                problems.push(row.wrong("object_id", "set, or app_id, or upn"));
            }
            principals.add(entry, row.line, problems);
        }
        principals
    }

    fn add(&mut self, entry: PrincipalEntry, line: u64, problems: &mut Vec<DirectoryProblem>) {
        let index = self.entries.len();
        let mut taken = Vec::new();
        if let Some(key) = entry.object_id.as_deref().and_then(Key128::of_id)
            && *self.by_object_id.entry(key).or_insert(index) != index
        {
            taken.push("object_id");
        }
        if let Some(key) = entry.app_id.as_deref().and_then(Key128::of_id)
            && *self.by_app_id.entry(key).or_insert(index) != index
        {
            taken.push("app_id");
        }
        if let Some(upn) = &entry.upn
            && *self.by_upn.entry(upn.clone()).or_insert(index) != index
        {
            taken.push("upn");
        }
        for column in taken {
            let message = format!("column {column} repeats an earlier row, which stays in force");
            problems.push(warning(FILE, line, message));
        }
        self.entries.push(entry);
    }

    pub(super) fn by_object_id(&self, object_id: &str) -> Option<&PrincipalEntry> {
        self.entries.get(*self.by_object_id.get(&Key128::of_id(object_id)?)?)
    }

    pub(super) fn by_app_id(&self, app_id: &str) -> Option<&PrincipalEntry> {
        self.entries.get(*self.by_app_id.get(&Key128::of_id(app_id)?)?)
    }

    pub(super) fn by_upn(&self, upn: &str) -> Option<&PrincipalEntry> {
        self.entries.get(*self.by_upn.get(&*normalise_upn(upn)?)?)
    }
}

/// The type under its stored name. Entra's own words are understood too.
fn parse_kind(cell: &str) -> Option<&'static str> {
    let squeezed: String =
        cell.chars().filter(|c| !matches!(c, ' ' | '-' | '_')).flat_map(char::to_lowercase).collect();
    match squeezed.as_str() {
        "user" | "member" | "guest" | "externaluser" | "externalguest" => Some("user"),
        "serviceprincipal" | "application" | "app" | "spn" | "sp" | "legacy" | "socialidp" => {
            Some("service_principal")
        }
        "managedidentity"
        | "systemassignedmanagedidentity"
        | "userassignedmanagedidentity"
        | "msi"
        | "mi"
        | "systemassigned"
        | "userassigned" => Some("managed_identity"),
        "group" | "securitygroup" => Some("group"),
        _ => None,
    }
}
