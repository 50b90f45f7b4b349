//! EQ-04 and EQ-05: can calls be followed across the two systems, and are they the same person on both sides?
//!
//! - In, out, invariants: those of the catalogue.

use super::{EvidenceQuery, ResultSet};

pub(super) const EQ_04: EvidenceQuery = EvidenceQuery {
    id: "EQ-04",
    title: "Correlation-id coverage and reuse",
    criteria: &["CC7.2", "CC2.1"],
    question: "Do the requests carry a correlation id, who made it, and was one id used by several identities?",
    reading: "The value (requests without an id) is at most 0.1 % of the denominator on every day, and nothing is reused.",
    exception: "A day below the target; any row of the list reused: a forged id or a client that does not renew it.",
    cannot_show: "That an id sent by the client is honest: Kong keeps whatever the client sends. The join therefore \
                  checks the identity as well (EQ-05).",
    results: &[
        ResultSet {
            name: "summary",
            template: "
SELECT COUNT_BIG(CASE WHEN correlation_id IS NULL THEN 1 END) AS value,
       COUNT_BIG(*) AS denominator,
       CASE WHEN COUNT_BIG(*) = 0 THEN 'no' ELSE 'yes' END AS measurable,
       CASE WHEN COUNT_BIG(*) = 0 THEN 'no Kong requests on a route in the window'
            ELSE 'requests on routes without a correlation id' END AS reason,
       COUNT_BIG(CASE WHEN CHARINDEX(',CORRELATION_REUSED,', CONCAT(',', findings, ',')) > 0
                         THEN 1 END) AS flagged_as_reused
FROM audit.events
WHERE {window}
      AND source = 'kong' AND category = 'http' AND route IS NOT NULL",
        },
        ResultSet {
            name: "by_day",
            template: "
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
WHERE {window}
      AND source = 'kong' AND category = 'http' AND route IS NOT NULL
GROUP BY [date]
ORDER BY [date]",
        },
        ResultSet {
            name: "reused",
            template: "
SELECT correlation_id,
       COUNT_BIG(DISTINCT principal_id) AS principals,
       COUNT_BIG(*) AS requests,
       COUNT_BIG(CASE WHEN CHARINDEX(',CORRELATION_REUSED,', CONCAT(',', findings, ',')) > 0
                THEN 1 END) AS flagged,
       MIN(event_time) AS first_seen,
       MAX(event_time) AS last_seen
FROM audit.events
WHERE {window}
      AND source = 'kong' AND correlation_id IS NOT NULL
GROUP BY correlation_id
HAVING COUNT_BIG(DISTINCT principal_id) > 1
    OR COUNT_BIG(CASE WHEN CHARINDEX(',CORRELATION_REUSED,', CONCAT(',', findings, ',')) > 0 THEN 1 END) > 0
ORDER BY requests DESC, correlation_id",
        },
    ],
};

pub(super) const EQ_05: EvidenceQuery = EvidenceQuery {
    id: "EQ-05",
    title: "Identity continuity between Kong and Synapse",
    criteria: &["CC6.1", "CC6.3"],
    question: "Where a Kong request and a Synapse record belong together, do both name the same principal?",
    reading: "The value is 0. Read it beside unknown: a pair that cannot be compared proves nothing.",
    exception: "Any row of the list that is not a documented on-behalf-of or managed-identity hop.",
    cannot_show: "Calls that were not matched, and pairs where one side names nobody. Confidence \"probable\" rests on \
                  circumstance, not on an id.",
    results: &[
        ResultSet {
            name: "summary",
            template: "
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
WHERE {window}
      AND source = 'kong' AND join_state = 'matched'",
        },
        ResultSet {
            name: "by_day",
            template: "
SELECT [date], join_method, join_confidence,
       COUNT_BIG(*) AS matched,
       COUNT_BIG(CASE WHEN identity_match = 'equal' THEN 1 END) AS equal,
       COUNT_BIG(CASE WHEN identity_match = 'different' THEN 1 END) AS different,
       COUNT_BIG(CASE WHEN identity_match = 'unknown' THEN 1 END) AS unknown
FROM audit.events
WHERE {window}
      AND source = 'kong' AND join_state = 'matched'
GROUP BY [date], join_method, join_confidence
ORDER BY [date], join_method, join_confidence",
        },
        ResultSet {
            name: "list",
            template: "
SELECT event_time, event_id, request_id, correlation_id, principal_id, principal_name, route, http_method, url_path,
       http_status, decision, join_method, join_confidence, peer_event_id, peer_category, peer_operation,
       peer_principal_id, peer_time, peer_count, findings
FROM audit.events
WHERE {window}
      AND source = 'kong' AND identity_match = 'different'
ORDER BY event_time, event_id",
        },
    ],
};
