//! Kind: what sort of record it is, by the type of its resource and its category.
//!
//! - In: `resourceId` and `category`.
//! - Out: [`Kind`], the [`Source`] and the workspace.
//! - Invariants: names are compared without case; a category that nobody knows is [`Kind::Other`], never an error.

use corridor_model::Source;
use memchr::memmem;

/// How the resource of a workspace begins.
const WORKSPACES: &str = "microsoft.synapse/workspaces/";

/// Sort of record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// `IntegrationActivityRuns`.
    Activity,
    /// `IntegrationPipelineRuns`.
    PipelineRun,
    /// `IntegrationTriggerRuns`.
    TriggerRun,
    /// `SQLSecurityAuditEvents`.
    SqlAudit,
    /// `BuiltinSqlReqsEnded`.
    BuiltinSql,
    /// `ExecRequests`.
    ExecRequest,
    /// Steps, requests, workers and waits inside a dedicated pool.
    PoolStep,
    /// `GatewayApiRequests`.
    Gateway,
    /// `SynapseRbacOperations`.
    Rbac,
    /// Data Explorer pools.
    Kusto,
    /// Azure Activity Log.
    ActivityLog,
    /// Entra sign-in logs.
    SignIn,
    /// Entra audit log.
    EntraAudit,
    /// Spark applications, Synapse Link, and what is not known.
    Other,
}

/// What the resource id says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Resource<'r> {
    /// Provider and types of the innermost resource, for instance `microsoft.synapse/workspaces/ws/sqlpools/p`.
    innermost: &'r str,
    /// Name of the Synapse workspace.
    pub(super) workspace: Option<&'r str>,
}

impl<'r> Resource<'r> {
    /// From a resource id in lower case.
    pub(super) fn parse(id: &'r str) -> Self {
        // Record by record the same few ids come by: SIMD search keeps this out of the profile.
        let after = |text: &'r str, needle: &str| {
            memmem::rfind(text.as_bytes(), needle.as_bytes()).map(|at| &text[at + needle.len()..])
        };
        let innermost = after(id, "/providers/").unwrap_or("");
        let synapse =
            innermost.strip_prefix(WORKSPACES).or_else(|| after(id, "/microsoft.synapse/workspaces/"));
        let workspace = synapse.and_then(|tail| tail.split('/').next()).filter(|name| !name.is_empty());
        Self { innermost, workspace }
    }

    fn is_synapse(&self) -> bool {
        self.innermost.starts_with("microsoft.synapse/")
    }
}

/// Categories by name, for Synapse and for the twins that other providers log.
const CATEGORIES: &[(&str, Kind)] = &[
    ("integrationactivityruns", Kind::Activity),
    ("activityruns", Kind::Activity),
    ("integrationpipelineruns", Kind::PipelineRun),
    ("pipelineruns", Kind::PipelineRun),
    ("integrationtriggerruns", Kind::TriggerRun),
    ("triggerruns", Kind::TriggerRun),
    ("sqlsecurityauditevents", Kind::SqlAudit),
    ("builtinsqlreqsended", Kind::BuiltinSql),
    ("execrequests", Kind::ExecRequest),
    ("requeststeps", Kind::PoolStep),
    ("sqlrequests", Kind::PoolStep),
    ("dmsworkers", Kind::PoolStep),
    ("waits", Kind::PoolStep),
    ("gatewayapirequests", Kind::Gateway),
    ("synapserbacoperations", Kind::Rbac),
    ("administrative", Kind::ActivityLog),
    ("security", Kind::ActivityLog),
    ("policy", Kind::ActivityLog),
    ("servicehealth", Kind::ActivityLog),
    ("resourcehealth", Kind::ActivityLog),
    ("autoscale", Kind::ActivityLog),
    ("recommendation", Kind::ActivityLog),
    ("signinlogs", Kind::SignIn),
    ("noninteractiveusersigninlogs", Kind::SignIn),
    ("serviceprincipalsigninlogs", Kind::SignIn),
    ("managedidentitysigninlogs", Kind::SignIn),
    ("auditlogs", Kind::EntraAudit),
];

/// Categories of Data Explorer pools; the names are too common to count for other resources.
const KUSTO_CATEGORIES: &[&str] = &[
    "command",
    "query",
    "failedingestion",
    "succeededingestion",
    "ingestionbatching",
    "journal",
    "tabledetails",
    "tableusagestatistics",
];

impl Kind {
    /// Sort of a record by its resource and category.
    pub(super) fn of(resource: &Resource<'_>, category: &str) -> Self {
        let is_pool =
            resource.innermost.contains("/kustopools/") || resource.innermost.starts_with("microsoft.kusto/");
        if is_pool && KUSTO_CATEGORIES.iter().any(|name| category.eq_ignore_ascii_case(name)) {
            return Self::Kusto;
        }
        CATEGORIES
            .iter()
            .find(|(name, _)| category.eq_ignore_ascii_case(name))
            .map_or(Self::Other, |(_, kind)| *kind)
    }

    /// Whether Synapse logged it or a neighbour.
    pub(super) fn source(self, resource: &Resource<'_>) -> Source {
        match self {
            Self::ActivityLog | Self::SignIn | Self::EntraAudit => Source::Azure,
            Self::Other | Self::Kusto => {
                if resource.is_synapse() {
                    Source::Synapse
                } else {
                    Source::Azure
                }
            }
            Self::Activity
            | Self::PipelineRun
            | Self::TriggerRun
            | Self::SqlAudit
            | Self::BuiltinSql
            | Self::ExecRequest
            | Self::PoolStep
            | Self::Gateway
            | Self::Rbac => {
                if resource.is_synapse() || resource.innermost.is_empty() {
                    Source::Synapse
                } else {
                    Source::Azure
                }
            }
        }
    }

    /// Whether the workspace's managed identity made the call or run that is recorded.
    pub(super) fn runs_as_workspace(self) -> bool {
        matches!(self, Self::Activity | Self::PipelineRun | Self::TriggerRun)
    }

    /// Whether the record tells of a SQL statement.
    pub(super) fn is_sql(self) -> bool {
        matches!(self, Self::SqlAudit | Self::BuiltinSql | Self::ExecRequest | Self::PoolStep)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORKSPACE: &str = "/subscriptions/s/resourcegroups/g/providers/microsoft.synapse/workspaces/ws";

    #[test]
    fn dispatch_looks_at_resource_and_category() {
        let pool = format!("{WORKSPACE}/kustopools/k");
        let role = format!("{WORKSPACE}/providers/microsoft.authorization/roleassignments/r");
        let sql = "/subscriptions/s/resourcegroups/g/providers/microsoft.sql/servers/x/databases/d";
        let cases = [
            (WORKSPACE, "INTEGRATIONACTIVITYRUNS", Kind::Activity, Source::Synapse),
            (WORKSPACE, "Query", Kind::Other, Source::Synapse),
            (pool.as_str(), "Query", Kind::Kusto, Source::Synapse),
            (role.as_str(), "Administrative", Kind::ActivityLog, Source::Azure),
            (sql, "SQLSecurityAuditEvents", Kind::SqlAudit, Source::Azure),
            ("", "GatewayApiRequests", Kind::Gateway, Source::Synapse),
            ("/tenants/t/providers/microsoft.aadiam", "SignInLogs", Kind::SignIn, Source::Azure),
            (WORKSPACE, "SomethingNew", Kind::Other, Source::Synapse),
        ];
        for (id, category, kind, source) in cases {
            let resource = Resource::parse(id);
            let got = Kind::of(&resource, category);
            assert_eq!((got, got.source(&resource)), (kind, source), "{id} {category}");
        }
        assert_eq!(Resource::parse(&role).workspace, Some("ws"));
        assert_eq!(Resource::parse(sql).workspace, None);
    }
}
