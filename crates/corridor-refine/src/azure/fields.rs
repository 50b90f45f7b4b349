//! Fields: which keys of a record are read, at which place, and where their values go.
//!
//! - In: a place inside the record ([`Scope`]) and a key in any case.
//! - Out: what to do with the value ([`Action`]).
//! - Invariants: one table per place; a key without a row follows the place's default. Values that may hold secrets
//!   or personal text have the action [`Action::Withhold`] and are counted, never kept.

use super::key_table::KeyTable;
use std::sync::LazyLock;

/// A value that Corridor reads, whatever the record calls it. Each is named after its key in synapse-diagnostics.md.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Field {
    Time,
    OriginalTime,
    OtherTime,
    EventTime,
    ResourceId,
    TenantId,
    OperationName,
    Category,
    MetricName,
    ResultType,
    ResultSignature,
    ResultDescription,
    DurationMs,
    CallerIp,
    CorrelationId,
    ClientCorrelationId,
    RequestUri,
    HttpMethod,
    StatusCode,
    LogicalServer,
    Caller,
    Status,
    RunId,
    PipelineRunId,
    ActivityRunId,
    PipelineName,
    ActivityName,
    ActivityType,
    Start,
    End,
    Method,
    Url,
    AuthType,
    SourceType,
    OutputStatus,
    ErrorCode,
    ErrorMessage,
    FailureReason,
    ErrorId,
    RequestId,
    SessionId,
    SequenceGroupId,
    SequenceNumber,
    EventRecordId,
    Label,
    Command,
    QueryText,
    StatementType,
    ActionId,
    ActionName,
    Succeeded,
    SessionPrincipalName,
    PrincipalName,
    DatabasePrincipalName,
    PrincipalSid,
    AdditionalInformation,
    SessionContext,
    ApplicationName,
    TlsVersion,
    IdentityText,
    LoginName,
    Oid,
    Tid,
    Upn,
    Name,
    NameUri,
    PreferredName,
    Sub,
    Scopes,
    Roles,
    AppClaim,
    AppIdAcr,
    IdTyp,
    Iat,
    Exp,
    MiResource,
    EvidencePrincipal,
    EvidenceType,
    KustoPrincipal,
    UserId,
    UserUpn,
    AppId,
    ServicePrincipalId,
    ServicePrincipalName,
    SubmitterId,
}

/// Number of fields.
pub(super) const FIELD_COUNT: usize = Field::SubmitterId as usize + 1;

/// A place inside a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    /// The record itself.
    Top,
    /// `properties`.
    Properties,
    /// `identity`.
    Identity,
    /// `identity.claims`.
    Claims,
    /// `identity.authorization`.
    Authorization,
    /// `identity.authorization.evidence`.
    Evidence,
    /// `httpRequest` of the Activity Log.
    HttpRequest,
    /// `properties.initiatedBy` of the Entra audit log, and its two members.
    InitiatedBy,
    /// An activity's `Input`.
    Input,
    /// `Input.authentication`.
    Authentication,
    /// `Input.source` of a Copy activity.
    Source,
    /// An activity's `Output`.
    Output,
    /// `properties.Error` of an activity, `properties.error` of a statement.
    Error,
}

const SCOPE_COUNT: usize = Scope::Error as usize + 1;

/// A list of names with values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PairList {
    /// Request headers of an activity.
    InputHeaders,
    /// Response headers that a web activity saw.
    ResponseHeaders,
    /// User properties of an activity.
    UserProperties,
}

/// What to do with a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    /// Keep it as a text.
    Keep(Field),
    /// Read its members.
    Enter(Scope),
    /// Keep its names and values.
    Pairs(PairList),
    /// Keep its JSON for `extra`.
    Leftover,
    /// Nothing of interest.
    Skip,
    /// May be secret or personal: count it only.
    Withhold,
}

use Action::{Enter, Keep, Pairs, Skip, Withhold};

const TOP: &[(&str, Action)] = &[
    ("type", Keep(Field::Category)),
    ("properties", Enter(Scope::Properties)),
    ("claims", Enter(Scope::Claims)),
    ("authorization", Enter(Scope::Authorization)),
    ("httprequest", Enter(Scope::HttpRequest)),
    ("caller", Keep(Field::Caller)),
    ("location", Skip),
    ("operationversion", Skip),
    ("resourcegroup", Skip),
    ("subscriptionid", Skip),
    ("effectiveintegrationruntime", Skip),
];

/// Of the record and of its properties: sources put the same key at either place.
const COMMON: &[(&str, Action)] = &[
    ("time", Keep(Field::Time)),
    ("originaleventtimestamp", Keep(Field::OriginalTime)),
    ("eventtimestamp", Keep(Field::OtherTime)),
    ("eventtimestring", Keep(Field::OtherTime)),
    ("timegenerated", Keep(Field::OtherTime)),
    ("event_time", Keep(Field::EventTime)),
    ("resourceid", Keep(Field::ResourceId)),
    ("tenantid", Keep(Field::TenantId)),
    ("operationname", Keep(Field::OperationName)),
    ("category", Keep(Field::Category)),
    ("metricname", Keep(Field::MetricName)),
    ("resulttype", Keep(Field::ResultType)),
    ("resultsignature", Keep(Field::ResultSignature)),
    ("resultdescription", Keep(Field::ResultDescription)),
    ("durationms", Keep(Field::DurationMs)),
    ("duration_milliseconds", Keep(Field::DurationMs)),
    ("calleripaddress", Keep(Field::CallerIp)),
    ("client_ip", Keep(Field::CallerIp)),
    ("ipaddress", Keep(Field::CallerIp)),
    ("correlationid", Keep(Field::CorrelationId)),
    ("clientcorrelationid", Keep(Field::ClientCorrelationId)),
    ("client_correlation_id", Keep(Field::ClientCorrelationId)),
    ("requesturi", Keep(Field::RequestUri)),
    ("uri", Keep(Field::RequestUri)),
    ("httpmethod", Keep(Field::HttpMethod)),
    ("statuscode", Keep(Field::StatusCode)),
    ("httpstatuscode", Keep(Field::StatusCode)),
    ("logicalservername", Keep(Field::LogicalServer)),
    ("identity", Enter(Scope::Identity)),
    ("level", Skip),
    ("status", Keep(Field::Status)),
    ("state", Keep(Field::Status)),
    ("result", Keep(Field::ResultType)),
    ("resultreason", Keep(Field::ResultDescription)),
    ("runid", Keep(Field::RunId)),
    ("pipelinerunid", Keep(Field::PipelineRunId)),
    ("activityrunid", Keep(Field::ActivityRunId)),
    ("pipelinename", Keep(Field::PipelineName)),
    ("activityname", Keep(Field::ActivityName)),
    ("activitytype", Keep(Field::ActivityType)),
    ("start", Keep(Field::Start)),
    ("end", Keep(Field::End)),
    ("starttime", Keep(Field::Start)),
    ("endtime", Keep(Field::End)),
    ("startedon", Keep(Field::Start)),
    ("userproperties", Pairs(PairList::UserProperties)),
    ("input", Enter(Scope::Input)),
    ("output", Enter(Scope::Output)),
    ("error", Enter(Scope::Error)),
    ("errorcode", Keep(Field::ErrorCode)),
    ("errormessage", Keep(Field::ErrorMessage)),
    ("failurereason", Keep(Field::FailureReason)),
    ("errorid", Keep(Field::ErrorId)),
    ("parameters", Withhold),
    ("predecessors", Withhold),
    ("systemparameters", Skip),
    ("requestbody", Withhold),
    ("responsebody", Withhold),
    ("requestid", Keep(Field::RequestId)),
    ("sessionid", Keep(Field::SessionId)),
    ("session_id", Keep(Field::SessionId)),
    ("label", Keep(Field::Label)),
    ("command", Keep(Field::Command)),
    ("querytext", Keep(Field::QueryText)),
    ("statement", Keep(Field::QueryText)),
    ("text", Keep(Field::QueryText)),
    ("statementtype", Keep(Field::StatementType)),
    ("action_id", Keep(Field::ActionId)),
    ("action_name", Keep(Field::ActionName)),
    ("succeeded", Keep(Field::Succeeded)),
    ("session_server_principal_name", Keep(Field::SessionPrincipalName)),
    ("server_principal_name", Keep(Field::PrincipalName)),
    ("database_principal_name", Keep(Field::DatabasePrincipalName)),
    ("server_principal_sid", Keep(Field::PrincipalSid)),
    ("additional_information", Keep(Field::AdditionalInformation)),
    ("session_context", Keep(Field::SessionContext)),
    ("application_name", Keep(Field::ApplicationName)),
    ("client_tls_version", Keep(Field::TlsVersion)),
    ("event_id", Keep(Field::EventRecordId)),
    ("sequence_group_id", Keep(Field::SequenceGroupId)),
    ("sequence_number", Keep(Field::SequenceNumber)),
    ("is_server_level_audit", Skip),
    ("is_column_permission", Skip),
    ("permission_bitmask", Skip),
    ("audit_schema_version", Skip),
    ("server_instance_name", Skip),
    ("transaction_id", Skip),
    ("object_id", Skip),
    ("server_principal_id", Skip),
    ("database_principal_id", Skip),
    ("target_server_principal_id", Skip),
    ("target_database_principal_id", Skip),
    ("target_server_principal_sid", Skip),
    ("user_defined_event_id", Skip),
    ("user_defined_information", Withhold),
    ("class_type", Skip),
    ("securable_class_type", Skip),
    ("host_name", Withhold),
    ("explainoutput", Withhold),
    ("principal", Keep(Field::KustoPrincipal)),
    ("user", Skip),
    ("userid", Keep(Field::UserId)),
    ("userprincipalname", Keep(Field::UserUpn)),
    ("userdisplayname", Keep(Field::Name)),
    ("appid", Keep(Field::AppId)),
    ("serviceprincipalid", Keep(Field::ServicePrincipalId)),
    ("serviceprincipalname", Keep(Field::ServicePrincipalName)),
    ("initiatedby", Enter(Scope::InitiatedBy)),
    ("submitterid", Keep(Field::SubmitterId)),
    ("location", Withhold),
];

const IDENTITY: &[(&str, Action)] = &[
    ("claims", Enter(Scope::Claims)),
    ("claim", Enter(Scope::Claims)),
    ("authorization", Enter(Scope::Authorization)),
    ("loginname", Keep(Field::LoginName)),
];

const CLAIMS: &[(&str, Action)] = &[
    ("oid", Keep(Field::Oid)),
    ("http://schemas.microsoft.com/identity/claims/objectidentifier", Keep(Field::Oid)),
    ("tid", Keep(Field::Tid)),
    ("http://schemas.microsoft.com/identity/claims/tenantid", Keep(Field::Tid)),
    ("upn", Keep(Field::Upn)),
    ("http://schemas.xmlsoap.org/ws/2005/05/identity/claims/upn", Keep(Field::Upn)),
    ("name", Keep(Field::Name)),
    ("http://schemas.xmlsoap.org/ws/2005/05/identity/claims/name", Keep(Field::NameUri)),
    ("preferred_username", Keep(Field::PreferredName)),
    ("unique_name", Keep(Field::PreferredName)),
    ("sub", Keep(Field::Sub)),
    ("http://schemas.xmlsoap.org/ws/2005/05/identity/claims/nameidentifier", Keep(Field::Sub)),
    ("scp", Keep(Field::Scopes)),
    ("http://schemas.microsoft.com/identity/claims/scope", Keep(Field::Scopes)),
    ("roles", Keep(Field::Roles)),
    ("http://schemas.microsoft.com/ws/2008/06/identity/claims/role", Keep(Field::Roles)),
    ("appid", Keep(Field::AppClaim)),
    ("azp", Keep(Field::AppClaim)),
    ("appidacr", Keep(Field::AppIdAcr)),
    ("azpacr", Keep(Field::AppIdAcr)),
    ("idtyp", Keep(Field::IdTyp)),
    ("iat", Keep(Field::Iat)),
    ("exp", Keep(Field::Exp)),
    ("xms_mirid", Keep(Field::MiResource)),
    ("aud", Skip),
    ("iss", Skip),
    ("nbf", Skip),
    ("ver", Skip),
    ("acr", Skip),
];

const AUTHORIZATION: &[(&str, Action)] = &[("evidence", Enter(Scope::Evidence))];

const EVIDENCE: &[(&str, Action)] =
    &[("principalid", Keep(Field::EvidencePrincipal)), ("principaltype", Keep(Field::EvidenceType))];

const HTTP_REQUEST: &[(&str, Action)] = &[
    ("clientrequestid", Keep(Field::ClientCorrelationId)),
    ("clientipaddress", Keep(Field::CallerIp)),
    ("method", Keep(Field::HttpMethod)),
    ("uri", Keep(Field::RequestUri)),
];

const INITIATED_BY: &[(&str, Action)] = &[
    ("user", Enter(Scope::InitiatedBy)),
    ("app", Enter(Scope::InitiatedBy)),
    ("id", Keep(Field::UserId)),
    ("userprincipalname", Keep(Field::UserUpn)),
    ("ipaddress", Keep(Field::CallerIp)),
    ("appid", Keep(Field::AppId)),
    ("serviceprincipalid", Keep(Field::ServicePrincipalId)),
    ("displayname", Keep(Field::ServicePrincipalName)),
];

const INPUT: &[(&str, Action)] = &[
    ("method", Keep(Field::Method)),
    ("url", Keep(Field::Url)),
    ("uri", Keep(Field::Url)),
    ("headers", Pairs(PairList::InputHeaders)),
    ("authentication", Enter(Scope::Authentication)),
    ("source", Enter(Scope::Source)),
    ("sink", Skip),
];

const AUTHENTICATION: &[(&str, Action)] = &[("type", Keep(Field::AuthType)), ("resource", Skip)];

const SOURCE: &[(&str, Action)] = &[
    ("type", Keep(Field::SourceType)),
    ("url", Keep(Field::Url)),
    ("requestmethod", Keep(Field::Method)),
    ("additionalheaders", Pairs(PairList::InputHeaders)),
    ("requestbody", Withhold),
];

const OUTPUT: &[(&str, Action)] = &[
    ("adfhttpstatuscodeinresponse", Keep(Field::OutputStatus)),
    ("adfwebactivityresponseheaders", Pairs(PairList::ResponseHeaders)),
];

const ERROR: &[(&str, Action)] = &[
    ("errorcode", Keep(Field::ErrorCode)),
    ("code", Keep(Field::ErrorCode)),
    ("number", Keep(Field::ErrorCode)),
    ("message", Keep(Field::ErrorMessage)),
];

/// The tables of a place, and what happens to other keys.
fn rows(scope: Scope) -> (&'static [&'static [(&'static str, Action)]], Action) {
    match scope {
        Scope::Top => (&[TOP, COMMON], Action::Leftover),
        Scope::Properties => (&[COMMON], Action::Leftover),
        Scope::Identity => (&[IDENTITY, CLAIMS], Withhold),
        Scope::Claims => (&[CLAIMS], Withhold),
        Scope::Authorization => (&[AUTHORIZATION], Skip),
        Scope::Evidence => (&[EVIDENCE], Skip),
        Scope::HttpRequest => (&[HTTP_REQUEST], Skip),
        Scope::InitiatedBy => (&[INITIATED_BY], Withhold),
        Scope::Input => (&[INPUT], Withhold),
        Scope::Authentication => (&[AUTHENTICATION], Withhold),
        Scope::Source => (&[SOURCE], Skip),
        Scope::Output => (&[OUTPUT], Skip),
        Scope::Error => (&[ERROR], Skip),
    }
}

const SCOPES: [Scope; SCOPE_COUNT] = [
    Scope::Top,
    Scope::Properties,
    Scope::Identity,
    Scope::Claims,
    Scope::Authorization,
    Scope::Evidence,
    Scope::HttpRequest,
    Scope::InitiatedBy,
    Scope::Input,
    Scope::Authentication,
    Scope::Source,
    Scope::Output,
    Scope::Error,
];

static TABLES: LazyLock<[(KeyTable<Action>, Action); SCOPE_COUNT]> = LazyLock::new(|| {
    SCOPES.map(|scope| {
        let (lists, other) = rows(scope);
        (KeyTable::of(lists.iter().copied().flatten().copied()), other)
    })
});

/// What to do with the value of a key, compared without case.
pub(super) fn action(scope: Scope, key: &str) -> Action {
    let (table, other) = &TABLES[scope as usize];
    table.get(key.as_bytes()).unwrap_or(*other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_found_in_any_case_and_place() {
        assert_eq!(action(Scope::Top, "ResourceId"), Keep(Field::ResourceId));
        assert_eq!(action(Scope::Top, "CLIENTCORRELATIONID"), Keep(Field::ClientCorrelationId));
        assert_eq!(action(Scope::Properties, "Type"), Action::Leftover);
        assert_eq!(action(Scope::Claims, "groups"), Withhold);
        assert_eq!(action(Scope::Top, &"x".repeat(500)), Action::Leftover);
    }

    #[test]
    fn tables_stand_at_their_scope_and_in_lower_case() {
        for (index, scope) in SCOPES.into_iter().enumerate() {
            assert_eq!(scope as usize, index);
            for (key, _) in rows(scope).0.iter().copied().flatten() {
                assert_eq!(*key, key.to_ascii_lowercase());
            }
        }
    }
}
