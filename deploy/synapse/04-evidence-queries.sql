/* Corridor evidence, part 4: the questions. They only read. Each batch stands alone: set @from and @to (UTC,
   half-open: @to is not part of the window) and run it. Every first result says what was measured, of how many,
   and whether the data can answer at all: "not measurable" is not zero. */
USE [corridor_audit];
GO
/* EQ-01 Denied requests, complete list (CC6.1, CC6.6, CC7.2)
   Question: Which requests were refused in the window, whose were they, who refused them and why?
   Reading: The number of rows equals the value of the summary and the value of EQ-02.
   Exception: A different count; a denial without basis (denied_without_basis is not 0); a denial with a success status that no guard in the response phase explains (denied_with_success_status).
   Cannot show: Requests that never reached Kong or Synapse, and log entries that Kong dropped before sending them. A reason with basis "status" is inferred. */
DECLARE @from datetime2(6) = '2026-10-01T00:00:00', @to datetime2(6) = '2026-11-01T00:00:00';
DECLARE @from_date nvarchar(1024) = CONVERT(nvarchar(10), @from, 23), @to_date nvarchar(1024) = CONVERT(nvarchar(10), @to, 23);
-- EQ-01 summary
SELECT COUNT_BIG(CASE WHEN decision = 'denied' THEN 1 END) AS value,
       COUNT_BIG(*) AS denominator,
       CASE WHEN COUNT_BIG(*) = 0 THEN 'no' ELSE 'yes' END AS measurable,
       CASE WHEN COUNT_BIG(*) = 0 THEN 'no events in the window' ELSE 'denied events of all events' END AS reason,
       COUNT_BIG(CASE WHEN decision = 'denied' AND reason_basis IS NULL THEN 1 END) AS denied_without_basis,
       COUNT_BIG(CASE WHEN decision = 'denied' AND http_status < 300 THEN 1 END) AS denied_with_success_status
FROM audit.events
WHERE [date] >= @from_date AND [date] <= @to_date
      AND event_time >= @from AND event_time < @to;
-- EQ-01 list
SELECT event_time, event_id, source, category, request_id, correlation_id, principal_id, principal_type,
       principal_name, identity_basis, consumer_name, client_ip, http_method, route, url_host, url_path, operation,
       http_status, response_source, denied_by, reason_code, reason_basis, join_state, peer_event_id, findings,
       record_sha256
FROM audit.events
WHERE [date] >= @from_date AND [date] <= @to_date
      AND event_time >= @from AND event_time < @to
      AND decision = 'denied'
ORDER BY event_time, event_id;
GO
/* EQ-02 Denials by reason, identity, route and day (CC6.6, CC7.2)
   Question: How do the refusals spread over days, reasons, routes and identities?
   Reading: A stable mix. The value equals that of EQ-01.
   Exception: More than 1 % of the denials without a specific reason (unspecific_denials); a principal above its reviewed limit; a route whose denials stop after a change (was a control removed?).
   Cannot show: Whether a refusal was right: that needs the policy of the route. A joined call counts once for each side that logged it; use the column source to keep one side. */
DECLARE @from datetime2(6) = '2026-10-01T00:00:00', @to datetime2(6) = '2026-11-01T00:00:00';
DECLARE @from_date nvarchar(1024) = CONVERT(nvarchar(10), @from, 23), @to_date nvarchar(1024) = CONVERT(nvarchar(10), @to, 23);
-- EQ-02 summary
SELECT COUNT_BIG(CASE WHEN decision = 'denied' THEN 1 END) AS value,
       COUNT_BIG(*) AS denominator,
       CASE WHEN COUNT_BIG(*) = 0 THEN 'no' ELSE 'yes' END AS measurable,
       CASE WHEN COUNT_BIG(*) = 0 THEN 'no events in the window' ELSE 'denied events of all events' END AS reason,
       COUNT_BIG(CASE WHEN decision = 'denied' AND reason_code IN ('AUTHZ_OTHER', 'AUTH_FAILED', 'UPSTREAM_DENIED')
                         THEN 1 END) AS unspecific_denials
FROM audit.events
WHERE [date] >= @from_date AND [date] <= @to_date
      AND event_time >= @from AND event_time < @to;
-- EQ-02 groups
SELECT [date], source, reason_code, denied_by, route, principal_id,
       COUNT_BIG(*) AS denials,
       COUNT_BIG(DISTINCT client_ip) AS client_ips,
       COUNT_BIG(CASE WHEN reason_basis = 'status' THEN 1 END) AS inferred
FROM audit.events
WHERE [date] >= @from_date AND [date] <= @to_date
      AND event_time >= @from AND event_time < @to
      AND decision = 'denied'
GROUP BY [date], source, reason_code, denied_by, route, principal_id
ORDER BY [date], source, reason_code, denied_by, route, principal_id;
GO
/* EQ-03 Unauthenticated success on protected routes (CC6.1)
   Question: Did a protected route answer a caller who had not authenticated?
   Reading: The value is 0. Prove that the query can find something: send one planted request and see its row.
   Exception: Any row of the list. A route in by_route with successes without a principal that is not flagged: is the route missing in the policy (routes.csv), or is it public on purpose?
   Cannot show: Paths to the data that do not lead through Kong; how strong the authentication was. Without routes.csv or a decK dump nobody has said which routes are protected: then it is not measurable. */
DECLARE @from datetime2(6) = '2026-10-01T00:00:00', @to datetime2(6) = '2026-11-01T00:00:00';
DECLARE @from_date nvarchar(1024) = CONVERT(nvarchar(10), @from, 23), @to_date nvarchar(1024) = CONVERT(nvarchar(10), @to, 23);
-- EQ-03 summary
SELECT COUNT_BIG(CASE WHEN CHARINDEX(',UNAUTHENTICATED_SUCCESS,', CONCAT(',', findings, ',')) > 0
                         THEN 1 END) AS value,
       COUNT_BIG(CASE WHEN http_status < 400 THEN 1 END) AS denominator,
       CASE WHEN COUNT_BIG(*) = 0 OR COUNT_BIG(directory_version) = 0 THEN 'no' ELSE 'yes' END AS measurable,
       CASE WHEN COUNT_BIG(*) = 0 THEN 'no Kong requests on a route in the window'
            WHEN COUNT_BIG(directory_version) = 0 THEN 'no directory was loaded: protected routes are not known'
            ELSE 'flagged successes of all successes on routes' END AS reason,
       COUNT_BIG(*) - COUNT_BIG(directory_version) AS requests_without_directory
FROM audit.events
WHERE [date] >= @from_date AND [date] <= @to_date
      AND event_time >= @from AND event_time < @to
      AND source = 'kong' AND route IS NOT NULL;
-- EQ-03 list
SELECT event_time, event_id, request_id, correlation_id, client_ip, http_method, route, service, url_host, url_path,
       http_status, principal_id, principal_type, identity_basis, consumer_name, auth_method, peer_event_id, findings,
       record_sha256
FROM audit.events
WHERE [date] >= @from_date AND [date] <= @to_date
      AND event_time >= @from AND event_time < @to
      AND CHARINDEX(',UNAUTHENTICATED_SUCCESS,', CONCAT(',', findings, ',')) > 0
ORDER BY event_time, event_id;
-- EQ-03 by_route
SELECT route, service,
       COUNT_BIG(*) AS requests,
       COUNT_BIG(CASE WHEN http_status < 400 THEN 1 END) AS successes,
       COUNT_BIG(CASE WHEN http_status < 400 AND http_method <> 'OPTIONS' AND credential_id IS NULL
                 AND (principal_id IS NULL OR principal_type IN ('anonymous', 'unknown'))
                THEN 1 END) AS successes_without_principal,
       COUNT_BIG(CASE WHEN CHARINDEX(',UNAUTHENTICATED_SUCCESS,', CONCAT(',', findings, ',')) > 0
                THEN 1 END) AS flagged,
       COUNT_BIG(CASE WHEN reason_code IN ('AUTH_MISSING', 'AUTH_TOKEN_EXPIRED', 'AUTH_TOKEN_INVALID', 'AUTH_STATIC_INVALID',
                                     'AUTH_FAILED') THEN 1 END) AS refused_unauthenticated
FROM audit.events
WHERE [date] >= @from_date AND [date] <= @to_date
      AND event_time >= @from AND event_time < @to
      AND source = 'kong' AND route IS NOT NULL
GROUP BY route, service
ORDER BY route, service;
GO
/* EQ-04 Correlation-id coverage and reuse (CC7.2, CC2.1)
   Question: Do the requests carry a correlation id, who made it, and was one id used by several identities?
   Reading: The value (requests without an id) is at most 0.1 % of the denominator on every day, and nothing is reused.
   Exception: A day below the target; any row of the list reused: a forged id or a client that does not renew it.
   Cannot show: That an id sent by the client is honest: Kong keeps whatever the client sends. The join therefore checks the identity as well (EQ-05). */
DECLARE @from datetime2(6) = '2026-10-01T00:00:00', @to datetime2(6) = '2026-11-01T00:00:00';
DECLARE @from_date nvarchar(1024) = CONVERT(nvarchar(10), @from, 23), @to_date nvarchar(1024) = CONVERT(nvarchar(10), @to, 23);
-- EQ-04 summary
SELECT COUNT_BIG(CASE WHEN correlation_id IS NULL THEN 1 END) AS value,
       COUNT_BIG(*) AS denominator,
       CASE WHEN COUNT_BIG(*) = 0 THEN 'no' ELSE 'yes' END AS measurable,
       CASE WHEN COUNT_BIG(*) = 0 THEN 'no Kong requests on a route in the window'
            ELSE 'requests on routes without a correlation id' END AS reason,
       COUNT_BIG(CASE WHEN CHARINDEX(',CORRELATION_REUSED,', CONCAT(',', findings, ',')) > 0
                         THEN 1 END) AS flagged_as_reused
FROM audit.events
WHERE [date] >= @from_date AND [date] <= @to_date
      AND event_time >= @from AND event_time < @to
      AND source = 'kong' AND category = 'http' AND route IS NOT NULL;
-- EQ-04 by_day
SELECT [date],
       COUNT_BIG(*) AS requests,
       COUNT_BIG(CASE WHEN correlation_id IS NULL THEN 1 END) AS missing,
       COUNT_BIG(CASE WHEN correlation_origin = 'client' THEN 1 END) AS from_client,
       COUNT_BIG(CASE WHEN correlation_origin = 'gateway' THEN 1 END) AS from_gateway,
       COUNT_BIG(CASE WHEN CHARINDEX(',NO_CORRELATION_ID,', CONCAT(',', findings, ',')) > 0
                THEN 1 END) AS flagged_as_missing,
       COUNT_BIG(CASE WHEN join_state = 'matched' THEN 1 END) AS matched,
       CAST(100.0 * COUNT_BIG(correlation_id) / COUNT_BIG(*) AS decimal(7, 3)) AS coverage_percent
FROM audit.events
WHERE [date] >= @from_date AND [date] <= @to_date
      AND event_time >= @from AND event_time < @to
      AND source = 'kong' AND category = 'http' AND route IS NOT NULL
GROUP BY [date]
ORDER BY [date];
-- EQ-04 reused
SELECT correlation_id,
       COUNT_BIG(DISTINCT principal_id) AS principals,
       COUNT_BIG(*) AS requests,
       COUNT_BIG(CASE WHEN CHARINDEX(',CORRELATION_REUSED,', CONCAT(',', findings, ',')) > 0
                THEN 1 END) AS flagged,
       MIN(event_time) AS first_seen,
       MAX(event_time) AS last_seen
FROM audit.events
WHERE [date] >= @from_date AND [date] <= @to_date
      AND event_time >= @from AND event_time < @to
      AND source = 'kong' AND correlation_id IS NOT NULL
GROUP BY correlation_id
HAVING COUNT_BIG(DISTINCT principal_id) > 1
    OR COUNT_BIG(CASE WHEN CHARINDEX(',CORRELATION_REUSED,', CONCAT(',', findings, ',')) > 0 THEN 1 END) > 0
ORDER BY requests DESC, correlation_id;
GO
/* EQ-05 Identity continuity between Kong and Synapse (CC6.1, CC6.3)
   Question: Where a Kong request and a Synapse record belong together, do both name the same principal?
   Reading: The value is 0. Read it beside unknown: a pair that cannot be compared proves nothing.
   Exception: Any row of the list that is not a documented on-behalf-of or managed-identity hop.
   Cannot show: Calls that were not matched, and pairs where one side names nobody. Confidence "probable" rests on circumstance, not on an id. */
DECLARE @from datetime2(6) = '2026-10-01T00:00:00', @to datetime2(6) = '2026-11-01T00:00:00';
DECLARE @from_date nvarchar(1024) = CONVERT(nvarchar(10), @from, 23), @to_date nvarchar(1024) = CONVERT(nvarchar(10), @to, 23);
-- EQ-05 summary
SELECT COUNT_BIG(CASE WHEN identity_match = 'different' THEN 1 END) AS value,
       COUNT_BIG(CASE WHEN identity_match IN ('equal', 'different') THEN 1 END) AS denominator,
       CASE WHEN COUNT_BIG(CASE WHEN identity_match IN ('equal', 'different') THEN 1 END) = 0
            THEN 'no' ELSE 'yes' END AS measurable,
       CASE WHEN COUNT_BIG(*) = 0 THEN 'no matched Kong requests in the window'
            WHEN COUNT_BIG(CASE WHEN identity_match IN ('equal', 'different') THEN 1 END) = 0
            THEN 'no matched request names a principal on both sides'
            ELSE 'different principals of all matched Kong requests that can be compared' END AS reason,
       COUNT_BIG(CASE WHEN identity_match = 'unknown' THEN 1 END) AS unknown
FROM audit.events
WHERE [date] >= @from_date AND [date] <= @to_date
      AND event_time >= @from AND event_time < @to
      AND source = 'kong' AND join_state = 'matched';
-- EQ-05 by_day
SELECT [date], join_method, join_confidence,
       COUNT_BIG(*) AS matched,
       COUNT_BIG(CASE WHEN identity_match = 'equal' THEN 1 END) AS equal,
       COUNT_BIG(CASE WHEN identity_match = 'different' THEN 1 END) AS different,
       COUNT_BIG(CASE WHEN identity_match = 'unknown' THEN 1 END) AS unknown
FROM audit.events
WHERE [date] >= @from_date AND [date] <= @to_date
      AND event_time >= @from AND event_time < @to
      AND source = 'kong' AND join_state = 'matched'
GROUP BY [date], join_method, join_confidence
ORDER BY [date], join_method, join_confidence;
-- EQ-05 list
SELECT event_time, event_id, request_id, correlation_id, principal_id, principal_name, route, http_method, url_path,
       http_status, decision, join_method, join_confidence, peer_event_id, peer_category, peer_operation,
       peer_principal_id, peer_time, peer_count, findings
FROM audit.events
WHERE [date] >= @from_date AND [date] <= @to_date
      AND event_time >= @from AND event_time < @to
      AND source = 'kong' AND identity_match = 'different'
ORDER BY event_time, event_id;
GO
