-- Everything Azure says about one record, one row each. `link` is the gateway's correlation id as the record carries it.
-- Names that differ by case only (Command and command, Error and error) cannot both be declared: the rarer one is left out.
-- Lines come from the CSV reader: read_json takes six times as long on these envelopes, whatever is declared.
SELECT 'synapse' AS source, r.category AS category,
    coalesce(p.event_id, p."distributedStatementId", r."activityRunId", r."runId", r."triggerId", r."correlationId") AS native_id,
    concat_ws('|', r."operationName", r."time", p."RequestId", p."Label", r."resourceId") AS native_part,
    CASE WHEN r."start" IS NOT NULL THEN r."start"::TIMESTAMP ELSE coalesce(p.event_time, p."SubmitTime", r."time")::TIMESTAMP END
        AS event_time,
    1 AS schema_version,
    lower(coalesce(p."Input".headers."X-Correlation-ID", CASE WHEN length(r."userProperties") > 2
             THEN nullif(regexp_extract(r."userProperties", '[0-9a-f]{8}-[0-9a-f-]{27}'), '') END,
        r."clientCorrelationId", p."ClientCorrelationId",
        CASE WHEN coalesce(p."queryText", p.statement) LIKE '%kong:%'
             THEN nullif(regexp_extract(coalesce(p."queryText", p.statement), 'kong:([^'']+)', 1), '') END)) AS link,
    coalesce(link, r."correlationId") AS correlation_id,
    coalesce(p."Output"."ADFWebActivityResponseHeaders"."X-Kong-Request-Id",
        CASE WHEN p."Error".message LIKE '%request_id%'
             THEN nullif(regexp_extract(p."Error".message, 'request_id\W+([0-9a-f]{32})', 1), '') END) AS request_id,
    r."correlationId" AS azure_correlation_id, coalesce(r."pipelineRunId", r."runId") AS pipeline_run_id,
    r."activityRunId" AS activity_run_id,
    coalesce(r.identity.claims."http://schemas.microsoft.com/identity/claims/tenantid", w.tenant_id) AS tenant_id,
    coalesce(r.identity.claims."http://schemas.microsoft.com/identity/claims/objectidentifier", w.object_id) AS object_id,
    coalesce(r.identity.claims.appid, w.client_id) AS app_id,
    coalesce(lower(r.identity.claims."http://schemas.xmlsoap.org/ws/2005/05/identity/claims/upn"), p.server_principal_name,
        r.identity."loginName", r.identity.claims.name, w.workspace) AS principal_name,
    CASE WHEN r.identity IS NULL THEN 'configured' ELSE 'verified' END AS identity_basis,
    CASE WHEN r."activityType" IS NOT NULL THEN 'msi' END AS auth_method,
    to_timestamp(r.identity.claims.iat)::TIMESTAMP AS token_issued_at,
    to_timestamp(r.identity.claims.exp)::TIMESTAMP AS token_expires_at,
    r.identity.claims."http://schemas.microsoft.com/identity/claims/scope" AS scopes,
    p."Input"."method" AS http_method,
    lower(split_part(coalesce(p."Input".url, r."requestUri"), '/', 3)) AS url_host,
    split_part(substring(coalesce(p."Input".url, r."requestUri"),
        strpos(substring(coalesce(p."Input".url, r."requestUri"), 9), '/') + 8), '?', 1) AS url_path,
    coalesce(p."Output"."ADFHttpStatusCodeInResponse", TRY_CAST(r."resultSignature" AS INTEGER),
        CASE WHEN p."Error".message LIKE '%HttpStatusCode - %'
             THEN TRY_CAST(regexp_extract(p."Error".message, 'HttpStatusCode - ''(\d+)', 1) AS INTEGER) END) AS http_status,
    coalesce(p.client_ip, r."callerIpAddress") AS client_ip, p.application_name AS user_agent,
    lower(split_part(r."resourceId", '/', 9)) AS workspace, lower(r."resourceId") AS resource_id,
    coalesce(p.action_name, r."operationName") AS operation,
    coalesce(r.status, r."resultType", p."Status", p.succeeded) AS result_type, r."resultSignature" AS result_code,
    r."pipelineName" AS pipeline_name, r."activityName" AS activity_name, r."activityType" AS activity_type,
    coalesce(r."start", p."startTime", p."SubmitTime")::TIMESTAMP AS activity_start,
    CASE WHEN coalesce(r."end", p."endTime") > '1970' THEN coalesce(r."end", p."endTime")::TIMESTAMP END AS activity_end,
    coalesce(r."durationMs", p.duration_milliseconds, date_diff('millisecond', activity_start, activity_end)) AS duration_ms,
    md5(coalesce(p."Command", p."queryText", p.statement)) AS statement_hash,
    upper(split_part(coalesce(p."Command", p."queryText", p.statement), ' ', 1)) AS statement_verb,
    nullif(coalesce(p."Error"."errorCode", p."errorCode"), '') AS error_code,
    nullif(coalesce(p."Error".message, r."resultDescription"), '') AS error_message,
    CASE WHEN lower(p.succeeded) = 'false' THEN
              CASE WHEN p.additional_information LIKE '%Err 208%' THEN 'error' ELSE 'denied' END
         WHEN r.category = 'BuiltinSqlReqsEnded' AND r."resultType" = 'Failed' THEN 'denied'
         WHEN http_status IN (401, 403, 407, 413, 429) THEN 'denied'
         WHEN p."Error".message LIKE '%cannot consume%' OR p."Error".message LIKE '%rate limit%'
              OR p."Error".message LIKE '%size limit%' THEN 'denied'
         WHEN result_type = 'Failed' THEN 'error' WHEN result_type = 'InProgress' THEN 'unknown' ELSE 'allowed' END AS decision,
    CASE WHEN http_status = 401 THEN 'AUTH_TOKEN_EXPIRED' WHEN http_status = 403 THEN 'UPSTREAM_DENIED'
         WHEN http_status = 429 THEN 'RATE_LIMITED' WHEN http_status = 413 THEN 'REQUEST_TOO_LARGE' END AS reason_code
FROM (SELECT r, r.properties AS p FROM (
        SELECT unnest(json_transform(line, '{"records": [{
            "time": "VARCHAR", "category": "VARCHAR", "operationName": "VARCHAR", "resourceId": "VARCHAR",
            "resultType": "VARCHAR", "resultSignature": "VARCHAR", "resultDescription": "VARCHAR", "durationMs": "BIGINT",
            "callerIpAddress": "VARCHAR", "correlationId": "VARCHAR", "clientCorrelationId": "VARCHAR",
            "requestUri": "VARCHAR", "activityRunId": "VARCHAR", "pipelineRunId": "VARCHAR", "runId": "VARCHAR",
            "triggerId": "VARCHAR", "pipelineName": "VARCHAR", "activityName": "VARCHAR", "activityType": "VARCHAR",
            "start": "VARCHAR", "end": "VARCHAR", "status": "VARCHAR", "userProperties": "VARCHAR", "identity": {
                "loginName": "VARCHAR", "claims": {
                    "appid": "VARCHAR", "name": "VARCHAR", "iat": "BIGINT", "exp": "BIGINT",
                    "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/upn": "VARCHAR",
                    "http://schemas.microsoft.com/identity/claims/objectidentifier": "VARCHAR",
                    "http://schemas.microsoft.com/identity/claims/tenantid": "VARCHAR",
                    "http://schemas.microsoft.com/identity/claims/scope": "VARCHAR"}}, "properties": {
                "Input": {
                    "method": "VARCHAR", "url": "VARCHAR", "headers": {
                        "X-Correlation-ID": "VARCHAR"}}, "Output": {
                    "ADFHttpStatusCodeInResponse": "INTEGER", "ADFWebActivityResponseHeaders": {
                        "X-Kong-Request-Id": "VARCHAR"}}, "Error": {
                    "errorCode": "VARCHAR", "message": "VARCHAR"}, "startTime": "VARCHAR", "endTime": "VARCHAR",
                "distributedStatementId": "VARCHAR", "queryText": "VARCHAR", "errorCode": "VARCHAR",
                "statement": "VARCHAR", "additional_information": "VARCHAR", "duration_milliseconds": "BIGINT",
                "event_time": "VARCHAR", "succeeded": "VARCHAR", "client_ip": "VARCHAR",
                "server_principal_name": "VARCHAR", "event_id": "VARCHAR", "application_name": "VARCHAR",
                "action_name": "VARCHAR", "SubmitTime": "VARCHAR", "RequestId": "VARCHAR", "Status": "VARCHAR",
                "Label": "VARCHAR", "ClientCorrelationId": "VARCHAR", "Command": "VARCHAR"}}]}').records) AS r
        FROM read_csv({{azure}}, columns = {line: 'VARCHAR'}, delim = chr(1), quote = '', escape = '', header = false,
            auto_detect = false, strict_mode = false, ignore_errors = true, max_line_size = 16777216)
        WHERE json_valid(line)) AS lines) AS parsed
LEFT JOIN workspaces AS w ON r."activityType" IS NOT NULL AND w.workspace = lower(split_part(r."resourceId", '/', 9))
WHERE r.category IS NOT NULL
