//! Azure: writes diagnostic records of a Synapse workspace as synapse-diagnostics.md describes them.
//!
//! - In: what happened. Out: one compact JSON object in the line.
//! - Invariants: times have seven digits; the pipeline categories carry both `Level` and `level`.

use crate::line::{Line, Micros};
use crate::world::{Identity, Kind, SUBSCRIPTION, TENANT, Workspace};

/// Category of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Category {
    Activity,
    Pipeline,
    Trigger,
    Gateway,
    Rbac,
    Serverless,
    Exec,
    Audit,
}

impl Category {
    /// The `category` text.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Activity => "IntegrationActivityRuns",
            Self::Pipeline => "IntegrationPipelineRuns",
            Self::Trigger => "IntegrationTriggerRuns",
            Self::Gateway => "GatewayApiRequests",
            Self::Rbac => "SynapseRbacOperations",
            Self::Serverless => "BuiltinSqlReqsEnded",
            Self::Exec => "ExecRequests",
            Self::Audit => "SQLSecurityAuditEvents",
        }
    }

    /// Whether the pool, not the workspace, is the resource.
    pub(crate) fn is_of_pool(self) -> bool {
        matches!(self, Self::Exec | Self::Audit)
    }
}

/// A copy of the correlation id as a user property.
#[derive(Debug, Clone, Copy)]
pub(crate) enum UserProperty<'w> {
    Absent,
    /// A JSON object in a string: name and value.
    Text(&'w str, &'w str),
    /// A list of names and values.
    List(&'w str, &'w str),
}

/// How an activity ended.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Outcome<'w> {
    /// A heartbeat.
    InProgress,
    /// Answered, with the response headers: Kong's request id, and the correlation id if it was echoed.
    Answered(u128, Option<&'w str>),
    /// Answered, without response headers.
    AnsweredBare,
    /// Failed with this code and text.
    Failed(&'w str, &'w str),
}

/// A record of a web activity.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Activity<'w> {
    pub(crate) workspace: &'w Workspace,
    pub(crate) run_id: &'w str,
    pub(crate) activity_run_id: u128,
    pub(crate) start: Micros,
    pub(crate) end: Micros,
    /// The record's `time`.
    pub(crate) time: Micros,
    pub(crate) name: &'w str,
    pub(crate) method: &'w str,
    pub(crate) url: &'w str,
    pub(crate) headers: &'w [(&'w str, &'w str)],
    pub(crate) body: &'w str,
    pub(crate) user_property: UserProperty<'w>,
    pub(crate) outcome: Outcome<'w>,
}

/// Writes a web activity's record.
pub(crate) fn write_activity(line: &mut Line, activity: &Activity<'_>) {
    let is_running = matches!(activity.outcome, Outcome::InProgress);
    let (status, level) = match activity.outcome {
        Outcome::InProgress => ("InProgress", "Informational"),
        Outcome::Failed(..) => ("Failed", "Error"),
        _ => ("Succeeded", "Informational"),
    };
    let end = if is_running { None } else { Some(activity.end) };
    line.raw("{\"Level\":").raw(if level == "Error" { "2" } else { "4" });
    line.field("correlationId", activity.run_id).raw(",\"time\":\"").azure_time(activity.time);
    line.raw("\",\"activityRunId\":\"")
        .uuid(activity.activity_run_id)
        .raw("\"")
        .field("pipelineRunId", activity.run_id);
    line.field("resourceId", &activity.workspace.resource_id).field("category", Category::Activity.name());
    line.field("level", level)
        .raw(",\"operationName\":\"")
        .raw(activity.name)
        .raw(" - ")
        .raw(status)
        .raw("\"");
    line.field("pipelineName", "pl_export")
        .field("activityName", activity.name)
        .field("activityType", "WebActivity");
    write_span(line, activity.start, end);
    line.field("status", status).field("location", "westeurope");
    line.field("effectiveIntegrationRuntime", "AutoResolveIntegrationRuntime (West Europe)");
    line.raw(",\"tags\":\"{}\",\"annotations\":\"[]\",\"userProperties\":");
    match activity.user_property {
        UserProperty::Absent => _ = line.raw("\"{}\""),
        UserProperty::Text(name, value) => {
            line.raw("\"{\\\"").raw(name).raw("\\\":\\\"").raw(value).raw("\\\"}\"");
        }
        UserProperty::List(name, value) => {
            line.raw("[{\"name\":\"").raw(name).raw("\"").field("value", value).raw("}]");
        }
    }
    line.raw(",\"properties\":{\"Input\":{\"method\":\"")
        .raw(activity.method)
        .raw("\"")
        .field("url", activity.url);
    line.raw(",\"headers\":{\"Content-Type\":\"application/json\"");
    activity.headers.iter().for_each(|(name, value)| _ = line.field(name, value));
    line.raw("}").field("body", activity.body);
    line.raw(",\"authentication\":{\"type\":\"MSI\",\"resource\":\"api://kong-gateway\"}},\"Output\":");
    write_output(line, activity, is_running);
    match activity.outcome {
        Outcome::InProgress => _ = line.raw(",\"Error\":{}}}"),
        Outcome::Failed(code, message) => {
            line.raw(",\"Error\":{\"errorCode\":\"").raw(code).raw("\"").field("message", message);
            line.field("failureType", "UserError").field("target", activity.name).raw(",\"details\":[]}}}");
        }
        _ => {
            line.raw(",\"Error\":{\"errorCode\":\"\",\"message\":\"\",\"failureType\":\"\"");
            line.field("target", activity.name).raw("}}}");
        }
    }
}

fn write_output(line: &mut Line, activity: &Activity<'_>, is_running: bool) {
    if is_running {
        line.raw("{}");
        return;
    }
    line.raw("{\"effectiveIntegrationRuntime\":\"AutoResolveIntegrationRuntime (West Europe)\",\"executionDuration\":1");
    line.raw(",\"durationInQueue\":{\"integrationRuntimeQueue\":0},\"billingReference\":{\"activityType\":\"ExternalActivity\"");
    line.raw(",\"billableDuration\":[{\"meterType\":\"AzureIR\",\"duration\":0.016666666666666666,\"unit\":\"Hours\"}]}");
    match activity.outcome {
        Outcome::Answered(request_id, echo) => {
            line.raw(",\"ADFHttpStatusCodeInResponse\":\"200\",\"ADFWebActivityResponseHeaders\":{\"Content-Type\":");
            line.raw("\"application/json; charset=utf-8\",\"Date\":\"").http_date(activity.end);
            line.raw("\",\"X-Kong-Request-Id\":\"")
                .hex(request_id, 32)
                .raw("\",\"X-Kong-Upstream-Latency\":\"81\"");
            if let Some(id) = echo {
                line.field("X-Correlation-ID", id);
            }
            line.raw(",\"Via\":\"1.1 kong/3.9.3\"}");
        }
        Outcome::AnsweredBare => _ = line.raw(",\"ADFHttpStatusCodeInResponse\":\"200\""),
        Outcome::InProgress | Outcome::Failed(..) => {}
    }
    line.raw("}");
}

fn write_span(line: &mut Line, start: Micros, end: Option<Micros>) {
    line.raw(",\"start\":\"").azure_time(start).raw("\",\"end\":\"");
    match end {
        Some(end) => _ = line.azure_time(end),
        None => _ = line.raw("1601-01-01T00:00:00Z"),
    }
    line.raw("\"");
}

/// Writes a pipeline run's record.
pub(crate) fn write_pipeline(
    line: &mut Line,
    workspace: &Workspace,
    run_id: u128,
    time: Micros,
    status: &str,
) {
    let end = if status == "InProgress" { None } else { Some(time - 400_000) };
    let is_failed = status == "Failed";
    line.raw("{\"Level\":").raw(if is_failed { "2" } else { "4" }).raw(",\"correlationId\":\"").uuid(run_id);
    line.raw("\",\"time\":\"").azure_time(time).raw("\",\"runId\":\"").uuid(run_id).raw("\"");
    line.field("resourceId", &workspace.resource_id).field("category", Category::Pipeline.name());
    line.field("level", if is_failed { "Error" } else { "Informational" });
    line.raw(",\"operationName\":\"pl_nightly - ").raw(status).raw("\",\"pipelineName\":\"pl_nightly\"");
    write_span(line, time - 50_000_000, end);
    line.field("status", status).raw(",\"location\":\"westeurope\",\"tags\":\"{}\",\"annotations\":\"[]\"");
    line.raw(
        ",\"userProperties\":\"{}\",\"properties\":{\"Parameters\":{\"env\":\"prod\"},\"SystemParameters\":",
    );
    line.raw("{\"TriggerId\":\"08584412345678901234567890123CU17\"},\"Predecessors\":[]");
    if is_failed {
        line.raw(",\"Error\":{\"errorCode\":\"2200\",\"message\":\"Operation on target CopyOrders failed\"}");
    }
    line.raw("}}");
}

/// Writes a trigger run's record.
pub(crate) fn write_trigger(line: &mut Line, workspace: &Workspace, id: u128, time: Micros) {
    line.raw("{\"Level\":4,\"correlationId\":\"").uuid(id).raw("\",\"time\":\"").azure_time(time);
    line.raw("\",\"triggerId\":\"0858441")
        .hex(id, 20)
        .raw("CU17\"")
        .field("resourceId", &workspace.resource_id);
    line.field("category", Category::Trigger.name()).raw(",\"level\":\"Informational\"");
    line.raw(",\"operationName\":\"tr_daily - Succeeded\",\"triggerName\":\"tr_daily\",\"triggerType\":\"ScheduleTrigger\"");
    line.raw(",\"triggerEvent\":\"ScheduleTime - ")
        .date_time(time)
        .raw("Z\",\"start\":\"")
        .azure_time(time - 900_000);
    line.raw(
        "\",\"status\":\"Succeeded\",\"location\":\"westeurope\",\"tags\":\"{}\",\"annotations\":\"[]\"",
    );
    line.raw(",\"userProperties\":\"{}\",\"properties\":{\"Parameters\":{},\"SystemParameters\":{}}}");
}

/// Writes a call of the development endpoint.
pub(crate) fn write_gateway(line: &mut Line, request: &GatewayRequest<'_>) {
    let (result, words) = match request.status {
        401 => ("Failed", "Unauthorized"),
        403 => ("Failed", "Forbidden"),
        429 => ("Failed", "Too Many Requests"),
        _ => ("Succeeded", "OK"),
    };
    line.raw("{\"time\":\"")
        .azure_time(request.time)
        .raw("\"")
        .field("resourceId", &request.workspace.resource_id);
    line.raw(",\"operationName\":\"Microsoft.Synapse/workspaces/").raw(request.operation);
    line.raw("\",\"operationVersion\":\"2020-12-01\"").field("category", Category::Gateway.name());
    line.field("resultType", result).raw(",\"resultSignature\":\"").number(request.status).raw("\"");
    line.field("resultDescription", words).raw(",\"durationMs\":\"").number(40 + request.time / 1000 % 300);
    line.raw("\"")
        .field("callerIpAddress", request.caller.map_or("203.0.113.200", |caller| caller.address.as_str()));
    line.raw(",\"correlationId\":\"").uuid(request.azure_id).raw("\"");
    match request.client_correlation {
        Some(id) => _ = line.field("clientCorrelationId", id),
        None => _ = line.raw(",\"clientCorrelationId\":null"),
    }
    line.raw(",\"requestUri\":\"https://")
        .raw(request.workspace.name)
        .raw(".dev.azuresynapse.net")
        .raw(request.path);
    line.raw("?api-version=2020-12-01\"");
    if let Some(caller) = request.caller {
        write_claims(line, caller, request.time);
    }
    line.raw(",\"location\":\"westeurope\",\"properties\":{}}");
}

/// A call of the development endpoint.
#[derive(Debug, Clone, Copy)]
pub(crate) struct GatewayRequest<'w> {
    pub(crate) workspace: &'w Workspace,
    pub(crate) time: Micros,
    pub(crate) status: u64,
    pub(crate) operation: &'w str,
    pub(crate) path: &'w str,
    pub(crate) azure_id: u128,
    pub(crate) client_correlation: Option<&'w str>,
    /// None: no valid token.
    pub(crate) caller: Option<&'w Identity>,
}

fn write_claims(line: &mut Line, caller: &Identity, time: Micros) {
    let second = time / 1_000_000;
    line.raw(",\"identity\":{\"claims\":{\"aud\":\"https://dev.azuresynapse.net\",\"iss\":\"https://sts.windows.net/");
    line.raw(TENANT).raw("/\",\"iat\":\"").number(second - 600).raw("\",\"nbf\":\"").number(second - 600);
    line.raw("\",\"exp\":\"").number(second + 3000).raw("\"").field("appid", &caller.app_id);
    line.field("ipaddr", &caller.address);
    line.field("http://schemas.microsoft.com/identity/claims/objectidentifier", &caller.object_id);
    line.field("http://schemas.microsoft.com/identity/claims/tenantid", TENANT);
    if caller.kind == Kind::App {
        line.raw(",\"idtyp\":\"app\",\"appidacr\":\"2\"");
    } else {
        line.field("name", &caller.name).raw(",\"appidacr\":\"0\",\"amr\":\"pwd,mfa\"");
        line.field("http://schemas.xmlsoap.org/ws/2005/05/identity/claims/upn", &caller.upn);
        line.field(
            "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/nameidentifier",
            "pair-wise-subject",
        );
        line.field("http://schemas.microsoft.com/identity/claims/scope", "workspaceartifacts.management");
    }
    line.raw(",\"uti\":\"Zx3kQexampleUTI01AA\",\"ver\":\"1.0\"}}");
}

/// Writes a Synapse role operation; `is_denied` for a refused one.
pub(crate) fn write_rbac(
    line: &mut Line,
    workspace: &Workspace,
    caller: &Identity,
    id: u128,
    at: (Micros, bool),
) {
    let (time, is_denied) = at;
    line.raw("{\"time\":\"").azure_time(time).raw("\"").field("resourceId", &workspace.resource_id);
    line.raw(",\"operationName\":\"Microsoft.Synapse/workspaces/roleAssignments/write\",\"operationVersion\":\"2020-12-01\"");
    line.field("category", Category::Rbac.name());
    if is_denied {
        line.raw(
            ",\"resultType\":\"Failed\",\"resultSignature\":\"403\",\"resultDescription\":\"The principal '",
        );
        line.raw(&caller.object_id)
            .raw("' does not have the required Synapse RBAC permission to perform this action.\"");
        line.raw(",\"roleAssignmentId\":null");
    } else {
        line.raw(",\"resultType\":\"Succeeded\",\"resultSignature\":\"200\",\"resultDescription\":\"OK\"");
        line.raw(",\"roleAssignmentId\":\"").uuid(id.rotate_left(40)).raw("\"");
    }
    line.raw(",\"correlationId\":\"").uuid(id).raw("\"");
    write_claims(line, caller, time);
    line.raw(
        ",\"location\":\"westeurope\",\"properties\":{\"roleId\":\"6e4bf58a-b8e1-4cc3-bbf9-d73143322b78\"",
    );
    line.raw(",\"principalId\":\"")
        .uuid(id.rotate_left(64))
        .raw("\",\"principalType\":\"User\",\"scope\":\"workspaces/");
    line.raw(workspace.name).raw("\"}}");
}

/// A SQL statement at a pool or the serverless endpoint.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Statement<'w> {
    pub(crate) workspace: &'w Workspace,
    pub(crate) time: Micros,
    pub(crate) id: u128,
    pub(crate) number: u64,
    /// Statement text.
    pub(crate) text: &'w str,
    /// Correlation id in label and session context.
    pub(crate) label: Option<&'w str>,
    /// Name as SQL Server knows it.
    pub(crate) login: &'w str,
    pub(crate) sid: &'w str,
    pub(crate) address: &'w str,
}

/// Writes a dedicated pool's request.
pub(crate) fn write_exec(line: &mut Line, statement: &Statement<'_>) {
    let start = statement.time;
    line.raw("{\"time\":\"").azure_time(start + 20_000_000).raw("\"");
    line.field("resourceId", &statement.workspace.pool_resource_id).field("category", Category::Exec.name());
    line.raw(",\"operationName\":\"ExecRequests\"").field("LogicalServerName", statement.workspace.name);
    line.raw(",\"ResourceGroup\":\"rg-analytics-prod\"").field("SubscriptionId", SUBSCRIPTION);
    line.raw(",\"properties\":{\"RequestId\":\"QID").number(statement.number).raw("\",\"SessionId\":\"SID");
    line.number(statement.number / 7).raw("\",\"Status\":\"Completed\",\"SubmitTime\":\"").azure_time(start);
    line.raw("\",\"StartTime\":\"")
        .azure_time(start + 60_000)
        .raw("\",\"EndCompileTime\":\"")
        .azure_time(start + 180_000);
    line.raw("\",\"EndTime\":\"").azure_time(start + 880_000).raw("\"");
    if let Some(id) = statement.label {
        line.raw(",\"Label\":\"kong:").raw(id).raw("\"").field("ClientCorrelationId", id);
    } else {
        line.raw(",\"Label\":\"\",\"ClientCorrelationId\":null");
    }
    line.raw(",\"ErrorId\":null,\"DatabaseId\":\"5\"").field("Command", statement.text);
    line.raw(",\"StatementType\":\"Select\",\"ResourceClass\":\"staticrc20\",\"Importance\":\"normal\"");
    line.raw(",\"ResultCacheHit\":\"0\",\"RootQueryId\":\"QID")
        .number(statement.number)
        .raw("\",\"ScopeDepth\":0}}");
}

/// What SQL audit recorded.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AuditAction {
    pub(crate) id: &'static str,
    pub(crate) name: &'static str,
    pub(crate) succeeded: &'static str,
    pub(crate) information: &'static str,
}

/// A statement that ran.
pub(crate) const BATCH_OK: AuditAction = AuditAction {
    id: "BCM",
    name: "BATCH COMPLETED",
    succeeded: "true",
    information: "<batch_information><transaction_info>implicit</transaction_info></batch_information>",
};
/// A statement without permission.
pub(crate) const BATCH_DENIED: AuditAction = AuditAction {
    succeeded: "false",
    information: "<batch_information><failure_reason>Err 229, Level 14, Server dwhprod The SELECT permission was denied on the object 'salaries', database 'dwhprod', schema 'hr'.</failure_reason></batch_information>",
    ..BATCH_OK
};
/// A statement on something that does not exist, or is hidden.
pub(crate) const BATCH_MISSING: AuditAction = AuditAction {
    succeeded: "False",
    information: "<batch_information><failure_reason>Err 15151, Level 16, Server dwhprod Cannot find the user 'x', because it does not exist or you do not have permission.</failure_reason></batch_information>",
    ..BATCH_OK
};
/// A statement with an error.
pub(crate) const BATCH_FAILED: AuditAction = AuditAction {
    succeeded: "false",
    information: "<batch_information><failure_reason>Err 208, Level 16, Server dwhprod Invalid object name 'dbo.orderz'.</failure_reason></batch_information>",
    ..BATCH_OK
};
/// A read of an object without permission.
pub(crate) const SELECT_DENIED: AuditAction =
    AuditAction { id: "SL", name: "SELECT", succeeded: "false", information: "" };
/// A login that succeeded.
pub(crate) const LOGIN_OK: AuditAction =
    AuditAction { id: "DBAS", name: "DATABASE AUTHENTICATION SUCCEEDED", succeeded: "true", information: "" };
/// A login that failed.
pub(crate) const LOGIN_FAILED: AuditAction = AuditAction {
    id: "DBAF",
    name: "DATABASE AUTHENTICATION FAILED",
    succeeded: "false",
    information: "<login_information><error_code>18456</error_code><error_state>8</error_state></login_information>",
};

/// Writes a SQL audit record.
pub(crate) fn write_audit(line: &mut Line, statement: &Statement<'_>, action: &AuditAction) {
    let time = statement.time / 1000 * 1000;
    line.raw("{\"originalEventTimestamp\":\"")
        .audit_time(time)
        .raw("\",\"time\":\"")
        .azure_time(time + 7_000_000);
    line.raw("\"")
        .field("resourceId", &statement.workspace.pool_resource_id)
        .field("category", Category::Audit.name());
    line.raw(",\"operationName\":\"AuditEvent\"").field("LogicalServerName", statement.workspace.name);
    line.raw(",\"ResourceGroup\":\"rg-analytics-prod\"").field("SubscriptionId", SUBSCRIPTION);
    line.raw(",\"properties\":{\"is_server_level_audit\":\"true\",\"application_name\":\"Core Microsoft SqlClient Data Provider\"");
    line.field("additional_information", action.information).field("statement", statement.text);
    line.raw(",\"object_name\":\"\",\"schema_name\":\"\",\"database_name\":\"dwhprod\",\"affected_rows\":0,\"response_rows\":42");
    line.raw(
        ",\"duration_milliseconds\":880,\"transaction_id\":0,\"object_id\":0,\"audit_schema_version\":1",
    );
    line.raw(",\"event_time\":\"")
        .audit_time(time)
        .raw("\",\"sequence_number\":1")
        .field("succeeded", action.succeeded);
    line.field_number("session_id", statement.number / 7)
        .field("action_id", action.id)
        .field("action_name", action.name);
    line.raw(",\"class_type\":\"DB\",\"class_type_description\":\"DATABASE\"")
        .field("client_ip", statement.address);
    line.raw(",\"permission_bitmask\":\"0x00000000000000000000000000000000\",\"sequence_group_id\":\"");
    line.uuid(statement.id.rotate_left(64)).raw("\"").field("session_server_principal_name", statement.login);
    line.field("server_principal_name", statement.login).field("server_principal_sid", statement.sid);
    line.field("database_principal_name", statement.login)
        .field("server_instance_name", statement.workspace.name);
    line.raw(",\"host_name\":\"\",\"connection_id\":\"")
        .uuid(statement.id.rotate_left(32))
        .raw("\",\"event_id\":\"");
    line.uuid(statement.id).raw("\",\"client_tls_version\":771,\"session_context\":\"\"}}");
}

/// Writes a serverless SQL request; `error` is its number and text.
pub(crate) fn write_serverless(line: &mut Line, statement: &Statement<'_>, error: Option<(u64, &str)>) {
    let result = if error.is_some() { "Failed" } else { "Completed" };
    line.raw("{\"time\":\"").azure_time(statement.time + 2_730_000).raw("\"");
    line.field("resourceId", &statement.workspace.resource_id).field("category", Category::Serverless.name());
    line.raw(",\"operationName\":\"BuiltinSqlPoolRequestEnded\"").field("resultType", result);
    line.raw(",\"durationMs\":2714,\"correlationId\":\"")
        .uuid(statement.id)
        .raw("\",\"LogicalServerName\":\"");
    line.raw(statement.workspace.name).raw("-ondemand\",\"ResourceGroup\":\"rg-analytics-prod\"");
    line.field("SubscriptionId", SUBSCRIPTION).raw(",\"identity\":{\"loginName\":\"").raw(statement.login);
    line.raw("\"},\"properties\":{\"startTime\":\"").azure_time(statement.time).raw("\",\"endTime\":\"");
    line.azure_time(statement.time + 2_714_000)
        .raw("\",\"dataProcessedBytes\":10485760,\"distributedStatementId\":\"{");
    line.uuid(statement.id.rotate_left(64))
        .raw("}\",\"queryHash\":\"0x5B3A1F9E2C7D4480\",\"command\":\"SELECT\"");
    line.field("queryText", statement.text);
    match error {
        Some((code, text)) => _ = line.field("error", text).field_number("errorCode", code).raw("}}"),
        None => _ = line.raw(",\"error\":null,\"errorCode\":0}}"),
    }
}

/// Writes a metric: no event.
pub(crate) fn write_metric(line: &mut Line, workspace: &Workspace, time: Micros) {
    line.raw("{\"count\":2,\"total\":0.217,\"minimum\":0.042,\"maximum\":0.175,\"average\":0.1085");
    line.field("resourceId", &workspace.resource_id).raw(",\"time\":\"").azure_time(time);
    line.raw("\",\"metricName\":\"IntegrationActivityRunsEnded\",\"timeGrain\":\"PT1M\"}");
}
