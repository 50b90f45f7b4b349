-- The event-preserving join: candidate pairs of the four rungs, then each side's best peer by a total order
-- (rung, final before in progress, nearest start, smaller event id). Only narrow columns take part.
CREATE TABLE pairs AS
WITH kong AS MATERIALIZED (
    SELECT rowid AS id, event_id, event_time, request_id, correlation_id, pipeline_run_id, http_method, url_host, url_path, object_id
    FROM events WHERE source = 'kong'),
azure AS MATERIALIZED (
    SELECT rowid AS id, event_id, event_time, request_id, link, pipeline_run_id, http_method, url_host, url_path, object_id,
        activity_run_id IS NOT NULL AS is_activity, result_type = 'InProgress' AS is_open,
        activity_start - INTERVAL 5 SECOND AS earliest,
        coalesce(activity_end + INTERVAL 5 SECOND, activity_start + INTERVAL 10 MINUTE) AS latest
    FROM events WHERE source = 'synapse' AND (link IS NOT NULL OR request_id IS NOT NULL OR activity_run_id IS NOT NULL)),
rungs AS (
    SELECT 1 AS rung, k.id AS kong_id, a.id AS azure_id, k.event_id AS kong_event, a.event_id AS azure_event, is_open,
        k.event_time AS kong_time, a.event_time AS azure_time
    FROM kong AS k JOIN azure AS a ON a.request_id = k.request_id
    UNION ALL
    SELECT 2, k.id, a.id, k.event_id, a.event_id, is_open, k.event_time, a.event_time
    FROM kong AS k JOIN azure AS a ON a.link = k.correlation_id AND a.link IS DISTINCT FROM a.pipeline_run_id
    UNION ALL
    SELECT 3, k.id, a.id, k.event_id, a.event_id, is_open, k.event_time, a.event_time
    FROM kong AS k JOIN azure AS a ON a.pipeline_run_id = k.pipeline_run_id AND a.http_method = k.http_method
        AND a.url_path = k.url_path
    WHERE k.event_time BETWEEN earliest AND latest
    UNION ALL
    SELECT 3, k.id, a.id, k.event_id, a.event_id, is_open, k.event_time, a.event_time
    FROM kong AS k JOIN azure AS a ON a.pipeline_run_id = k.correlation_id AND a.http_method = k.http_method
        AND a.url_path = k.url_path
    WHERE k.event_time BETWEEN earliest AND latest AND k.pipeline_run_id IS DISTINCT FROM k.correlation_id
    UNION ALL
    SELECT 4, k.id, a.id, k.event_id, a.event_id, is_open, k.event_time, a.event_time
    FROM kong AS k JOIN azure AS a ON is_activity AND a.object_id = k.object_id AND a.url_path = k.url_path
        AND a.http_method = k.http_method AND a.url_host = k.url_host
    WHERE k.event_time BETWEEN earliest AND latest)
SELECT *, abs(epoch_us(kong_time) - epoch_us(azure_time)) AS apart FROM rungs
WHERE abs(epoch_us(kong_time) - epoch_us(azure_time)) <= 3600000000;

CREATE TABLE peers AS
WITH best AS (
    SELECT kong_id AS id, min(rung) AS rung,
        arg_min(azure_id, (rung, is_open, apart, azure_event)) AS peer,
        list(rung) AS rungs
    FROM pairs GROUP BY kong_id
    UNION ALL
    SELECT azure_id, min(rung), arg_min(kong_id, (rung, is_open, apart, kong_event)), list(rung)
    FROM pairs GROUP BY azure_id)
SELECT b.id, e.event_time AS peer_of_time,
    ['request_id', 'correlation_id', 'run_id', 'identity_time'][b.rung] AS join_method,
    ['exact', 'exact', 'strong', 'probable'][b.rung] AS join_confidence,
    p.event_id AS peer_event_id, len(list_filter(b.rungs, lambda rung: rung = b.rung))::INTEGER AS peer_count,
    p.category AS peer_category, coalesce(p.operation, p.http_method || ' ' || p.url_path) AS peer_operation,
    coalesce(p.result_type, p.http_status::VARCHAR) AS peer_status,
    p.tenant_id || '/' || p.object_id AS peer_principal_id, p.event_time AS peer_time,
    CASE WHEN p.object_id = e.object_id THEN 'equal' WHEN p.object_id <> e.object_id THEN 'different' ELSE 'unknown' END
        AS identity_match
FROM best AS b JOIN events AS e ON e.rowid = b.id JOIN events AS p ON p.rowid = b.peer;
