//! EQ-01 to EQ-03: who was refused, why, and whether anybody got in without a name.
//!
//! - In, out, invariants: those of the catalogue.

use super::{EvidenceQuery, ResultSet};

pub(super) const EQ_01: EvidenceQuery = EvidenceQuery {
    id: "EQ-01",
    title: "Denied requests, complete list",
    criteria: &["CC6.1", "CC6.6", "CC7.2"],
    question: "Which requests were refused in the window, whose were they, who refused them and why?",
    reading: "The number of rows equals the value of the summary and the value of EQ-02.",
    exception: "A different count; a denial without basis (denied_without_basis is not 0); a denial with a success status \
                that no guard in the response phase explains (denied_with_success_status).",
    cannot_show: "Requests that never reached Kong or Synapse, and log entries that Kong dropped before sending them. \
                  A reason with basis \"status\" is inferred.",
    results: &[
        ResultSet {
            name: "summary",
            template: "
SELECT COUNT_BIG(CASE WHEN decision = 'denied' THEN 1 END) AS value,
       COUNT_BIG(*) AS denominator,
       CASE WHEN COUNT_BIG(*) = 0 THEN 'no' ELSE 'yes' END AS measurable,
       CASE WHEN COUNT_BIG(*) = 0 THEN 'no events in the window' ELSE 'denied events of all events' END AS reason,
       COUNT_BIG(CASE WHEN decision = 'denied' AND reason_basis IS NULL THEN 1 END) AS denied_without_basis,
       COUNT_BIG(CASE WHEN decision = 'denied' AND http_status < 300 THEN 1 END) AS denied_with_success_status
FROM audit.events
WHERE {window}",
        },
        ResultSet {
            name: "list",
            template: "
SELECT event_time, event_id, source, category, request_id, correlation_id, principal_id, principal_type,
       principal_name, identity_basis, consumer_name, client_ip, http_method, route, url_host, url_path, operation,
       http_status, response_source, denied_by, reason_code, reason_basis, join_state, peer_event_id, findings,
       record_sha256
FROM audit.events
WHERE {window}
      AND decision = 'denied'
ORDER BY event_time, event_id",
        },
    ],
};

pub(super) const EQ_02: EvidenceQuery = EvidenceQuery {
    id: "EQ-02",
    title: "Denials by reason, identity, route and day",
    criteria: &["CC6.6", "CC7.2"],
    question: "How do the refusals spread over days, reasons, routes and identities?",
    reading: "A stable mix. The value equals that of EQ-01.",
    exception: "More than 1 % of the denials without a specific reason (unspecific_denials); a principal above its reviewed \
                limit; a route whose denials stop after a change (was a control removed?).",
    cannot_show: "Whether a refusal was right: that needs the policy of the route. A joined call counts once for each \
                  side that logged it; use the column source to keep one side.",
    results: &[
        ResultSet {
            name: "summary",
            template: "
SELECT COUNT_BIG(CASE WHEN decision = 'denied' THEN 1 END) AS value,
       COUNT_BIG(*) AS denominator,
       CASE WHEN COUNT_BIG(*) = 0 THEN 'no' ELSE 'yes' END AS measurable,
       CASE WHEN COUNT_BIG(*) = 0 THEN 'no events in the window' ELSE 'denied events of all events' END AS reason,
       COUNT_BIG(CASE WHEN decision = 'denied' AND reason_code IN ('AUTHZ_OTHER', 'AUTH_FAILED', 'UPSTREAM_DENIED')
                         THEN 1 END) AS unspecific_denials
FROM audit.events
WHERE {window}",
        },
        ResultSet {
            name: "groups",
            template: "
SELECT [date], source, reason_code, denied_by, route, principal_id,
       COUNT_BIG(*) AS denials,
       COUNT_BIG(DISTINCT client_ip) AS client_ips,
       COUNT_BIG(CASE WHEN reason_basis = 'status' THEN 1 END) AS inferred
FROM audit.events
WHERE {window}
      AND decision = 'denied'
GROUP BY [date], source, reason_code, denied_by, route, principal_id
ORDER BY [date], source, reason_code, denied_by, route, principal_id",
        },
    ],
};

pub(super) const EQ_03: EvidenceQuery = EvidenceQuery {
    id: "EQ-03",
    title: "Unauthenticated success on protected routes",
    criteria: &["CC6.1"],
    question: "Did a protected route answer a caller who had not authenticated?",
    reading: "The value is 0. Prove that the query can find something: send one planted request and see its row.",
    exception: "Any row of the list. A route in by_route with successes without a principal that is not flagged: is the \
                route missing in the policy (routes.csv), or is it public on purpose?",
    cannot_show: "Paths to the data that do not lead through Kong; how strong the authentication was. Without routes.csv or \
                  a decK dump nobody has said which routes are protected: then it is not measurable.",
    results: &[
        ResultSet {
            name: "summary",
            template: "
SELECT COUNT_BIG(CASE WHEN CHARINDEX(',UNAUTHENTICATED_SUCCESS,', CONCAT(',', findings, ',')) > 0
                         THEN 1 END) AS value,
       COUNT_BIG(CASE WHEN http_status < 400 THEN 1 END) AS denominator,
       CASE WHEN COUNT_BIG(*) = 0 OR COUNT_BIG(directory_version) = 0 THEN 'no' ELSE 'yes' END AS measurable,
       CASE WHEN COUNT_BIG(*) = 0 THEN 'no Kong requests on a route in the window'
            WHEN COUNT_BIG(directory_version) = 0 THEN 'no directory was loaded: protected routes are not known'
            ELSE 'flagged successes of all successes on routes' END AS reason,
       COUNT_BIG(*) - COUNT_BIG(directory_version) AS requests_without_directory
FROM audit.events
WHERE {window}
      AND source = 'kong' AND route IS NOT NULL",
        },
        ResultSet {
            name: "list",
            template: "
SELECT event_time, event_id, request_id, correlation_id, client_ip, http_method, route, service, url_host, url_path,
       http_status, principal_id, principal_type, identity_basis, consumer_name, auth_method, peer_event_id, findings,
       record_sha256
FROM audit.events
WHERE {window}
      AND CHARINDEX(',UNAUTHENTICATED_SUCCESS,', CONCAT(',', findings, ',')) > 0
ORDER BY event_time, event_id",
        },
        ResultSet {
            name: "by_route",
            template: "
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
WHERE {window}
      AND source = 'kong' AND route IS NOT NULL
GROUP BY route, service
ORDER BY route, service",
        },
    ],
};
