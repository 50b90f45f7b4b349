//! Workspaces: `workspaces.csv` says which managed identity a Synapse workspace acts with.
//!
//! - In: the bytes of the file, and the principals, which complete a missing client or object id.
//! - Out: [`Workspaces`]; problems.
//! - Invariants: names are lower case; a look-up allocates nothing.

use super::principals::Principals;
use super::table::{Table, warning};
use super::{DirectoryProblem, WorkspaceEntry};
use corridor_model::Key128;
use foldhash::HashMap;

const FILE: &str = "workspaces.csv";
const COLUMNS: &[&str] = &["workspace", "resource_id", "tenant_id", "client_id", "object_id"];

/// Longest workspace name looked up. Azure allows 50 characters.
const NAME_BYTES_MAX: usize = 64;

/// The rows of `workspaces.csv`.
#[derive(Debug, Default)]
pub(super) struct Workspaces {
    entries: Vec<WorkspaceEntry>,
    by_name: HashMap<String, usize>,
    by_identity: HashMap<Key128, usize>,
}

impl Workspaces {
    pub(super) fn load(bytes: &[u8], principals: &Principals, problems: &mut Vec<DirectoryProblem>) -> Self {
        let mut workspaces = Self::default();
        let needed = ["workspace", "resource_id"];
        let Some(table) = Table::read(FILE, bytes, COLUMNS, &needed, problems) else { return workspaces };
        for row in table.rows() {
            let resource_id = row.text("resource_id").map(str::to_lowercase);
            let named_by_resource = resource_id.as_deref().and_then(name_in_resource_id);
            if resource_id.is_some() && named_by_resource.is_none() {
                let expected = "a resource id with /providers/Microsoft.Synapse/workspaces/<name>";
                problems.push(row.wrong("resource_id", expected));
            }
            let workspace = row.text("workspace").map(str::to_lowercase);
            let mut entry = WorkspaceEntry {
                workspace: workspace.or_else(|| named_by_resource.map(str::to_owned)).unwrap_or_default(),
                tenant_id: row.guid("tenant_id", problems),
                client_id: row.guid("client_id", problems),
                object_id: row.guid("object_id", problems),
                resource_id: resource_id.clone(),
            };
            if entry.workspace.is_empty() || named_by_resource.is_some_and(|name| name != entry.workspace) {
                problems.push(row.wrong("workspace", "set, and the name inside resource_id"));
            }
            complete(&mut entry, principals);
            workspaces.add(entry, row.line, problems);
        }
        workspaces
    }

    fn add(&mut self, entry: WorkspaceEntry, line: u64, problems: &mut Vec<DirectoryProblem>) {
        let index = self.entries.len();
        if *self.by_name.entry(entry.workspace.clone()).or_insert(index) != index {
            let message = "column workspace repeats an earlier row, which stays in force".to_owned();
            problems.push(warning(FILE, line, message));
        }
        for id in [&entry.client_id, &entry.object_id] {
            if let Some(key) = id.as_deref().and_then(Key128::of_id) {
                self.by_identity.entry(key).or_insert(index);
            }
        }
        self.entries.push(entry);
    }

    /// By name, server name (`<name>-ondemand`, `<name>.dev.azuresynapse.net`) or resource id.
    pub(super) fn find(&self, name_or_resource_id: &str) -> Option<&WorkspaceEntry> {
        let text = name_or_resource_id.trim();
        let name = if text.contains('/') { name_in_resource_id(text)? } else { text };
        let name = name.split('.').next().unwrap_or(name);
        let mut buffer = [0; NAME_BYTES_MAX];
        let lower = buffer.get_mut(..name.len())?;
        lower.copy_from_slice(name.as_bytes());
        lower.make_ascii_lowercase();
        let lower = std::str::from_utf8(lower).ok()?;
        let index = self
            .by_name
            .get(lower)
            .or_else(|| lower.strip_suffix("-ondemand").and_then(|name| self.by_name.get(name)))?;
        self.entries.get(*index)
    }

    /// The workspace whose managed identity has this client or object id.
    pub(super) fn by_identity(&self, id: &str) -> Option<&WorkspaceEntry> {
        self.entries.get(*self.by_identity.get(&Key128::of_id(id)?)?)
    }
}

/// Fills the ids that only `principals.csv` knows.
fn complete(entry: &mut WorkspaceEntry, principals: &Principals) {
    let known = entry
        .object_id
        .as_deref()
        .and_then(|id| principals.by_object_id(id))
        .or_else(|| entry.client_id.as_deref().and_then(|id| principals.by_app_id(id)));
    let Some(known) = known else { return };
    entry.object_id = entry.object_id.take().or_else(|| known.object_id.clone());
    entry.client_id = entry.client_id.take().or_else(|| known.app_id.clone());
    entry.tenant_id = entry.tenant_id.take().or_else(|| known.tenant_id.clone());
}

/// The workspace's name inside a resource id of the workspace or of one of its pools.
fn name_in_resource_id(resource_id: &str) -> Option<&str> {
    let mut segments = resource_id.split('/');
    while let Some(segment) = segments.next() {
        if segment.eq_ignore_ascii_case("microsoft.synapse") {
            let is_workspace = segments.next()?.eq_ignore_ascii_case("workspaces");
            return segments.next().filter(|name| is_workspace && !name.is_empty());
        }
    }
    None
}
