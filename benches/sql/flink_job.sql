-- The nearest job in Flink SQL: Kong entries left-joined with Azure records on the correlation id within 30 minutes, a denied flag,
-- date=/hour= SNAPPY Parquet, exactly once. No duplicates, no other rungs, no redaction, no hashes, no directory.
CREATE TABLE kong (
    started_at BIGINT, client_ip STRING, source STRING, correlation_id STRING, upstream_status STRING, workspace_name STRING,
    `request` ROW<id STRING, `method` STRING, uri STRING, url STRING, size BIGINT, headers MAP<STRING, STRING>>,
    response ROW<status INT, size BIGINT>, latencies ROW<request BIGINT, kong BIGINT, proxy BIGINT>,
    route ROW<name STRING>, service ROW<name STRING>, consumer ROW<id STRING, username STRING>,
    event_time AS CAST(TO_TIMESTAMP_LTZ(COALESCE(started_at, 1772409600000), 3) AS TIMESTAMP(3)),
    WATERMARK FOR event_time AS event_time - INTERVAL '10' MINUTE
) WITH (
    'connector' = 'kafka', 'topic' = '${KONG_TOPIC}', 'properties.bootstrap.servers' = '${BOOTSTRAP}', 'properties.group.id' = 'flink',
    'scan.startup.mode' = 'earliest-offset', 'scan.bounded.mode' = 'latest-offset', 'format' = 'json', 'json.ignore-parse-errors' = 'true'
);
CREATE TABLE azure (
    records ARRAY<ROW<`time` STRING, category STRING, operationName STRING, resourceId STRING, correlationId STRING, status STRING,
        activityRunId STRING, pipelineName STRING, userProperties STRING>>,
    event_time AS TO_TIMESTAMP(SUBSTRING(COALESCE(records[1].`time`, '2026-03-02T00:00:00.000'), 1, 23), 'yyyy-MM-dd''T''HH:mm:ss.SSS'),
    WATERMARK FOR event_time AS event_time - INTERVAL '10' MINUTE
) WITH (
    'connector' = 'kafka', 'topic' = '${AZURE_TOPIC}', 'properties.bootstrap.servers' = '${BOOTSTRAP}', 'properties.group.id' = 'flink',
    'scan.startup.mode' = 'earliest-offset', 'scan.bounded.mode' = 'latest-offset', 'format' = 'json', 'json.ignore-parse-errors' = 'true'
);
-- The time of an envelope's first record stands for all of them: a time attribute must come from the source.
CREATE TEMPORARY VIEW record AS
SELECT event_time, r.category, r.operationName AS operation,
    r.resourceId AS resource, r.status AS azure_status, r.activityRunId AS activity_run_id, r.pipelineName AS pipeline,
    LOWER(COALESCE(JSON_VALUE(r.userProperties, '$.kongCorrelationId'), r.correlationId)) AS correlation
FROM azure CROSS JOIN UNNEST(azure.records) AS r (`time`, category, operationName, resourceId, correlationId, status, activityRunId,
    pipelineName, userProperties);
CREATE TABLE evidence (
    event_time TIMESTAMP(3), request_id STRING, correlation_id STRING, http_method STRING, uri STRING, url STRING, http_status INT,
    upstream_status STRING, denied BOOLEAN, response_source STRING, client_ip STRING, route STRING, service STRING, consumer_name STRING,
    user_agent STRING, principal STRING, request_bytes BIGINT, response_bytes BIGINT, latency_ms BIGINT,
    category STRING, operation STRING, resource STRING, azure_status STRING, activity_run_id STRING, pipeline STRING, azure_time TIMESTAMP(3),
    `date` STRING, `hour` STRING
) PARTITIONED BY (`date`, `hour`) WITH (
    'connector' = 'filesystem', 'path' = '${LAKE}', 'format' = 'parquet', 'parquet.compression' = 'SNAPPY',
    'sink.rolling-policy.file-size' = '128MB', 'sink.rolling-policy.rollover-interval' = '60 s', 'sink.rolling-policy.check-interval' = '10 s'
);
INSERT INTO evidence
SELECT CAST(k.event_time AS TIMESTAMP(3)), k.`request`.id, k.correlation, k.`request`.`method`, k.`request`.uri, k.`request`.url, k.response.status,
    k.upstream_status, k.response.status IN (401, 403, 407, 413, 429), k.source, k.client_ip, k.route.name, k.service.name,
    k.consumer.username, k.`request`.headers['user-agent'], k.`request`.headers['x-entra-oid'], k.`request`.size, k.response.size,
    k.latencies.`request`, a.category, a.operation, a.resource, a.azure_status, a.activity_run_id, a.pipeline, CAST(a.event_time AS TIMESTAMP(3)),
    DATE_FORMAT(k.event_time, 'yyyy-MM-dd'), DATE_FORMAT(k.event_time, 'HH')
FROM (SELECT *, LOWER(COALESCE(correlation_id, `request`.headers['x-correlation-id'])) AS correlation FROM kong) AS k
LEFT JOIN record AS a
    ON k.correlation = a.correlation AND a.event_time BETWEEN k.event_time - INTERVAL '30' MINUTE AND k.event_time + INTERVAL '30' MINUTE;
