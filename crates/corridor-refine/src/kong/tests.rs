//! Fixtures, columns, secrets and odd bytes through the front door.

use super::*;
use crate::refiner::{Context, Settings};
use corridor_model::{Decision, Finding, Side};
use proptest::prelude::*;
use serde_json::{Value, json};

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/kong");

/// File; decision, reason, basis and author; means of authentication; origin of the correlation id; findings.
#[rustfmt::skip]
const WANT: &[(&str, &str, &str, &str, &str)] = &[
    ("ai_prompt_guard_400.json", "error REQUEST_INVALID status", "", "gateway", ""),
    ("ai_proxy_ok.json", "allowed", "", "gateway", ""),
    ("anonymous_consumer_200.json", "allowed", "", "gateway", ""),
    ("basic_auth_static_credential.json", "allowed", "basic", "gateway", "STATIC_CREDENTIAL"),
    ("captured/ai_prompt_guard_400_with_ai_meta.json", "denied AI_PROMPT_BLOCKED header gateway", "key-auth", "gateway", "AI_PROMPT_BLOCKED,STATIC_CREDENTIAL"),
    ("captured/ai_proxy_ok_200_numeric_upstream_status.json", "allowed", "key-auth", "missing", "NO_CORRELATION_ID,STATIC_CREDENTIAL"),
    ("captured/anonymous_consumer_200.json", "allowed", "", "gateway", ""),
    ("captured/cache_hit_200_source_kong.json", "allowed", "", "gateway", ""),
    ("captured/client_abort_499.json", "error CLIENT_ABORT status", "", "missing", "NO_CORRELATION_ID"),
    ("captured/client_abort_in_body_400_source_upstream.json", "error CLIENT_ABORT status", "", "missing", "NO_CORRELATION_ID"),
    ("captured/cors_preflight_200_source_kong.json", "allowed", "", "gateway", ""),
    ("captured/custom_fields_types_and_null.json", "allowed", "", "gateway", ""),
    ("captured/denied_401_jwt_bad_signature.json", "denied AUTH_TOKEN_INVALID header gateway", "jwt", "gateway", ""),
    ("captured/denied_401_jwt_expired.json", "denied AUTH_TOKEN_EXPIRED message gateway", "jwt", "client", ""),
    ("captured/denied_401_jwt_missing.json", "denied AUTH_MISSING header gateway", "", "gateway", ""),
    ("captured/denied_401_key_missing_html_error_body.json", "denied AUTH_MISSING header gateway", "", "gateway", ""),
    ("captured/denied_401_wrong_audience_consumer_set.json", "denied AUTH_TOKEN_INVALID header gateway", "jwt", "missing", "NO_CORRELATION_ID"),
    ("captured/denied_403_acl.json", "denied AUTHZ_ACL message gateway", "key-auth", "gateway", "STATIC_CREDENTIAL"),
    ("captured/denied_403_ip_restriction.json", "denied AUTHZ_IP message gateway", "", "gateway", ""),
    ("captured/denied_413_request_size.json", "denied REQUEST_TOO_LARGE status gateway", "", "gateway", ""),
    ("captured/denied_429_after_upstream_response_ratelimiting.json", "denied RATE_LIMITED header gateway", "", "missing", "DENIED_AFTER_UPSTREAM,NO_CORRELATION_ID"),
    ("captured/denied_429_rate_limiting.json", "denied RATE_LIMITED header gateway", "key-auth", "gateway", "STATIC_CREDENTIAL"),
    ("captured/grpc_denied_401.json", "denied AUTH_MISSING header gateway", "", "missing", "NO_CORRELATION_ID"),
    ("captured/kong_3_4_2_denied_401_jwt_expired.json", "denied AUTH_FAILED status gateway", "", "missing", "NO_CORRELATION_ID"),
    ("captured/kong_3_6_1_anonymous_200_with_www_authenticate.json", "allowed", "", "missing", "NO_CORRELATION_ID"),
    ("captured/kong_3_8_1_denied_401_correlation_only_in_response_header.json", "denied AUTH_MISSING header gateway", "", "gateway", ""),
    ("captured/multi_value_headers_200.json", "allowed", "key-auth", "missing", "NO_CORRELATION_ID,STATIC_CREDENTIAL"),
    ("captured/no_route_404_correlation_only_in_response_header.json", "error NO_ROUTE status", "", "gateway", ""),
    ("captured/ok_200_after_retry_on_other_target.json", "allowed", "", "missing", "NO_CORRELATION_ID"),
    ("captured/ok_200_basic_auth.json", "allowed", "basic", "gateway", "STATIC_CREDENTIAL"),
    ("captured/ok_200_jwt.json", "allowed", "jwt", "gateway", ""),
    ("captured/ok_200_key_auth_key_in_clear.json", "allowed", "key-auth", "gateway", "STATIC_CREDENTIAL"),
    ("captured/ok_200_key_in_query_hide_credentials_leaks.json", "allowed", "key-auth", "missing", "NO_CORRELATION_ID,STATIC_CREDENTIAL"),
    ("captured/plugin_crash_500_no_correlation.json", "error GATEWAY_ERROR status", "", "gateway", ""),
    ("captured/prerouting_400_bad_host_header.json", "error BAD_REQUEST_PREROUTING status", "", "gateway", ""),
    ("captured/prerouting_414_uri_too_large.json", "error BAD_REQUEST_PREROUTING status", "", "missing", ""),
    ("captured/spoofed_consumer_headers_no_auth.json", "allowed", "", "missing", "NO_CORRELATION_ID"),
    ("captured/stream_tcp_denied_status_500.json", "denied AUTHZ_OTHER status gateway", "", "missing", ""),
    ("captured/stream_tcp_ok.json", "allowed", "", "missing", ""),
    ("captured/terminated_503_request_termination.json", "denied TERMINATED_BY_CONFIG message gateway", "key-auth", "gateway", "STATIC_CREDENTIAL"),
    ("captured/tls_client_certificate_not_verified_200.json", "allowed", "key-auth", "gateway", "STATIC_CREDENTIAL"),
    ("captured/upstream_403_passed_through.json", "denied UPSTREAM_DENIED status upstream", "", "client", ""),
    ("captured/upstream_down_502_three_tries.json", "error UPSTREAM_UNREACHABLE status", "", "gateway", ""),
    ("captured/upstream_timeout_504_post_no_state.json", "error UPSTREAM_TIMEOUT status", "", "gateway", ""),
    ("correlation_id_only_in_response_header.json", "denied AUTH_TOKEN_INVALID header gateway", "", "gateway", ""),
    ("cors_preflight_200_source_kong.json", "allowed", "", "gateway", ""),
    ("denied_401_jwt_expired.json", "denied AUTH_TOKEN_INVALID header gateway", "", "gateway", ""),
    ("denied_401_no_credentials.json", "denied AUTH_MISSING header gateway", "", "gateway", ""),
    ("denied_401_with_captured_reason.json", "denied AUTH_TOKEN_EXPIRED message gateway", "jwt", "gateway", ""),
    ("denied_403_acl.json", "denied AUTHZ_OTHER status gateway", "", "gateway", ""),
    ("denied_403_by_upstream.json", "denied UPSTREAM_DENIED status upstream", "", "gateway", ""),
    ("denied_403_ip_restriction.json", "denied AUTHZ_OTHER status gateway", "", "gateway", ""),
    ("denied_413_request_size.json", "denied REQUEST_TOO_LARGE status gateway", "", "gateway", ""),
    ("denied_429_rate_limiting.json", "denied RATE_LIMITED header gateway", "", "gateway", ""),
    ("error_400_bad_request_prerouting.json", "error BAD_REQUEST_PREROUTING status", "", "missing", ""),
    ("error_502_upstream_down.json", "error UPSTREAM_UNREACHABLE status", "", "gateway", ""),
    ("error_503_no_healthy_target.json", "error NO_HEALTHY_TARGET status", "", "gateway", ""),
    ("error_504_upstream_timeout.json", "error UPSTREAM_TIMEOUT status", "", "gateway", ""),
    ("key_auth_static_credential.json", "allowed", "key-auth", "gateway", "STATIC_CREDENTIAL"),
    ("kong_2_8_entry.json", "allowed", "", "gateway", ""),
    ("missing_correlation_id.json", "denied AUTH_TOKEN_INVALID header gateway", "", "missing", "NO_CORRELATION_ID"),
    ("multi_value_headers.json", "allowed", "", "gateway", ""),
    ("no_route_404.json", "error NO_ROUTE status", "", "missing", ""),
    ("ok_200_oidc.json", "allowed", "oidc", "gateway", ""),
    ("ok_after_retry.json", "allowed", "", "gateway", ""),
    ("proxy_cache_hit_200_source_kong.json", "allowed", "", "gateway", ""),
    ("request_termination_503.json", "error NO_HEALTHY_TARGET status", "", "gateway", ""),
    ("spoofed_consumer_headers_no_auth.json", "allowed", "", "client", ""),
    ("stream_tcp.json", "allowed", "", "missing", ""),
    ("unicode_and_large_uri.json", "allowed", "", "gateway", ""),
];

fn with_refined<T>(
    text: &str,
    context: &Context,
    read: impl FnOnce(&Refined<'_>) -> T,
) -> Result<T, RejectCode> {
    let (mut read, mut result, mut calls) = (Some(read), None, 0);
    let record = Record { text, original: text.as_bytes(), index: 0 };
    refine_entry(record, context, &mut |outcome| {
        calls += 1;
        result = Some(match outcome {
            Outcome::Event(refined, original) => {
                assert_eq!(original, text);
                Ok(read.take().expect("one outcome per record")(&refined))
            }
            Outcome::Rejected(rejection, _) => Err(rejection.code),
        });
    });
    assert_eq!(calls, 1, "each record leaves exactly once");
    result.expect("each record leaves")
}

fn fixture(name: &str) -> String {
    std::fs::read_to_string(format!("{FIXTURES}/{name}")).unwrap()
}

fn verdict_words(refined: &Refined<'_>) -> String {
    let verdict = refined.event.verdict;
    let mut words = vec![verdict.decision().as_str()];
    words.extend(verdict.reason().map(|reason| reason.as_str()));
    words.extend(verdict.basis().map(|basis| basis.as_str()));
    words.extend(verdict.denied_by().map(|by| by.as_str()));
    words.join(" ")
}

#[test]
fn every_fixture_gets_its_decision() {
    for (file, decision, method, origin, findings) in WANT {
        with_refined(&fixture(file), &Context::default(), |refined| {
            let event = &refined.event;
            assert_eq!(verdict_words(refined), *decision, "{file}");
            assert_eq!(event.auth_method.as_deref().unwrap_or(""), *method, "{file}");
            assert_eq!(event.correlation_origin.as_str(), *origin, "{file}");
            assert_eq!(event.findings.to_string(), *findings, "{file}");
        })
        .unwrap_or_else(|code| panic!("{file}: {code}"));
    }
}

#[test]
fn every_fixture_is_in_the_table() {
    for folder in ["", "captured/"] {
        for file in std::fs::read_dir(format!("{FIXTURES}/{folder}")).unwrap() {
            let name = format!("{folder}{}", file.unwrap().file_name().to_string_lossy());
            let is_entry = name.ends_with(".json") && name != "batch_of_3.json";
            assert!(!is_entry || WANT.iter().any(|row| row.0 == name), "{name} has no row");
        }
    }
}

#[test]
fn columns_are_filled_from_a_proxied_request() {
    with_refined(&fixture("ok_200_oidc.json"), &Context::default(), |refined| {
        let event = &refined.event;
        let texts = [
            (&event.correlation_id, "0f3a9c52-6c0d-4e0f-9a77-1b8f6f1d2c3e"),
            (&event.request_id, "5d6f0b3c9a1e4f7788c2d1e0a9b8c7d6"),
            (&event.http_method, "POST"),
            (&event.url_host, "api.contoso.example"),
            (&event.url_path, "/synapse/pipelines/nightly_load/createRun"),
            (&event.query_names, "api-version"),
            (&event.route, "synapse-pipelines"),
            (&event.service, "synapse-dev-endpoint"),
            (&event.upstream_status, "200"),
            (&event.response_source, "upstream"),
            (&event.client_ip, "10.20.30.41"),
            (&event.tls_version, "TLSv1.3"),
            (&event.consumer_name, "svc-finance-etl"),
            (&event.scopes, "user_impersonation"),
            (&event.auth_method, "oidc"),
        ];
        for (got, want) in texts {
            assert_eq!(got.as_deref(), Some(want));
        }
        assert_eq!((event.http_status, event.upstream_tries), (Some(200), Some(1)));
        assert_eq!((event.latency_ms, event.upstream_latency_ms), (Some(193), Some(186)));
        assert_eq!((event.request_bytes, event.response_bytes), (Some(1874), Some(642)));
        assert_eq!(event.event_time, Micros(1_763_972_345_678_000));
        assert_eq!(
            refined.facts.summary.texts.operation(),
            Some("POST /synapse/pipelines/nightly_load/createRun")
        );
        assert!(refined.facts.is_eligible && refined.facts.request_ids.len() == 1);
    })
    .unwrap();
}

#[test]
fn ai_columns_are_filled_and_payloads_are_not() {
    with_refined(
        &fixture("captured/ai_proxy_ok_200_numeric_upstream_status.json"),
        &Context::default(),
        |refined| {
            let event = &refined.event;
            assert_eq!(event.upstream_status.as_deref(), Some("200"));
            assert_eq!(
                (event.ai_prompt_tokens, event.ai_completion_tokens, event.ai_total_tokens),
                (Some(21), Some(6), Some(27))
            );
            event.for_each_text(|name, text| assert!(!text.contains("pipelines failed"), "{name}"));
        },
    )
    .unwrap();
}

#[test]
fn numbers_and_texts_may_stand_for_each_other_and_lists_for_objects() {
    let odd = r#"{"started_at":"1763972345678","started_at":1.763972345678e12,"request":{"id":7,"size":"12","method":"GET",
        "uri":"\/a\/b","querystring":[],"headers":{"X-Correlation-ID":[42,"x"],"user-agent":true}},
        "response":{"status":"403","size":null,"headers":[]},"route":{"id":5},"service":[],"tries":{},
        "latencies":{"request":"7.6","kong":-3,"proxy":"-1"},"consumer":[],"authenticated_entity":null,
        "workspace":null,"source":"kong","upstream_status":"","denial":"x","identity":"x","ai":[]}"#;
    with_refined(odd, &Context::default(), |refined| {
        let event = &refined.event;
        assert_eq!(verdict_words(refined), "denied AUTHZ_OTHER status gateway");
        assert_eq!(event.event_time, Micros(1_763_972_345_678_000));
        assert_eq!(
            (event.request_bytes, event.latency_ms, event.gateway_latency_ms),
            (Some(12), Some(8), Some(0))
        );
        assert_eq!((event.upstream_latency_ms, event.upstream_tries), (None, Some(0)));
        assert_eq!(event.correlation_id.as_deref(), Some("42"));
        assert_eq!(event.url_path.as_deref(), Some("/a/b"));
        assert_eq!(event.route.as_deref(), Some("5"));
    })
    .unwrap();
}

#[test]
fn records_without_an_event_say_why() {
    let cases = [
        ("not json", RejectCode::NotJson),
        ("{}", RejectCode::NotARecord),
        (r#"{"request":{}}"#, RejectCode::EventTimeInvalid),
        (r#"{"request":{},"started_at":-1}"#, RejectCode::EventTimeInvalid),
        (r#"{"session":{},"started_at":1e300}"#, RejectCode::EventTimeInvalid),
        (r#"{"session":{},"started_at":"yesterday"}"#, RejectCode::EventTimeInvalid),
    ];
    for (text, want) in cases {
        assert_eq!(with_refined(text, &Context::default(), |_| ()), Err(want), "{text}");
    }
}

#[test]
fn event_id_is_the_same_bare_wrapped_and_pretty() {
    let id = |text: &str| with_refined(text, &Context::default(), |refined| refined.event.event_id).unwrap();
    for file in ["ok_200_oidc.json", "kong_2_8_entry.json", "stream_tcp.json", "captured/stream_tcp_ok.json"]
    {
        let pretty = fixture(file);
        let value: Value = serde_json::from_str(&pretty).unwrap();
        let compact = value.to_string();
        let wrapped = json!({"log": compact, "stream": "stdout"}).to_string();
        assert_eq!(id(&pretty), id(&compact), "{file}");
        assert_eq!(id(&compact), id(&wrapped), "{file}");
    }
}

#[test]
fn configured_correlation_header_is_read() {
    let settings = Settings { correlation_headers: vec!["x-call-ref".into()], ..Settings::default() };
    let context = Context { settings, ..Context::default() };
    let text = r#"{"started_at":1,"request":{"headers":{"X-Call-Ref":"order-7"}}}"#;
    let got =
        with_refined(text, &context, |refined| refined.event.correlation_id.as_deref().map(str::to_owned));
    assert_eq!(got, Ok(Some("order-7".into())));
}

/// An entry with `secret` in every place where clients, plugins and models leave secrets.
fn planted(secret: &str) -> String {
    json!({
        "started_at": 1_763_972_345_678_i64, "client_ip": "10.0.0.1", "source": "kong", "tries": [],
        "upstream_uri": format!("/a?apikey={secret}"),
        "route": {"name": "r"},
        "request": {
            "id": "5d6f0b3c9a1e4f7788c2d1e0a9b8c7d6", "method": "GET",
            "uri": format!("/a?apikey={secret}&x={secret}"),
            "url": format!("https://user:{secret}@h:443/a?apikey={secret}"),
            "querystring": {"apikey": secret, "x": [secret, true]},
            "headers": {
                "authorization": format!("Bearer {secret}"), "proxy-authorization": secret, "cookie": [format!("session={secret}")],
                "apikey": secret, "x-api-key": secret, "x-userinfo": secret, "x-vault-token": secret, "x-client-secret": [secret],
                "referer": format!("https://h/?code={secret}"), "X-Whatever": secret
            }
        },
        "response": {"status": 400, "headers": {"set-cookie": [secret], "location": format!("/?t={secret}"), "x-session-token": secret}},
        "ai": {"proxy": {
            "meta": {"provider_name": "azure"}, "payload": {"request": secret, "response": {"a": secret}},
            "ai-lakera-guard": {"input_block_reason": secret, "detail": secret}
        }, "payload": {"original_request": secret}},
        "request_body": secret, "client_secret": secret, "my": {"access_token": secret, "prompt": [secret]},
        "link": format!("https://h/?sig={secret}"), "note": format!("token Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ4In0.{secret}"), "text": format!("{{\"a\":\"{secret}\"}}")
    })
    .to_string()
}

proptest! {
    #[test]
    fn any_text_leaves_exactly_once(text in any::<String>()) {
        let _ = with_refined(&text, &Context::default(), |_| ());
    }

    #[test]
    fn any_values_in_known_fields_leave_exactly_once(
        field in prop::sample::select(vec!["request", "response", "session", "tries", "ai", "latencies", "started_at", "denial", "message", "trace_id"]),
        inner in prop::sample::select(vec!["headers", "querystring", "status", "uri", "url", "meta", "message", "proxy", "w3c", "id"]),
        raw in prop::sample::select(vec!["null", "true", "-1", "1e99", "18446744073709551615", r#""""#, r#""é\u0000""#, "[]", "{}", r#"[[1],{"a":[]}]"#, r#"{"a":{"b":"c"}}"#, r#""{\"request\":{}}""#]),
        is_nested in any::<bool>(),
    ) {
        let value = if is_nested { format!(r#"{{"{inner}":{raw}}}"#) } else { raw.to_owned() };
        let text = format!(r#"{{"started_at":1,"request":{{}},"response":{{"status":403}},"{field}":{value}}}"#);
        let _ = with_refined(&text, &Context::default(), |refined| refined.event.verdict.decision() == Decision::Denied);
    }

    #[test]
    fn planted_secrets_reach_no_column(secret in "[a-zA-Z0-9]{16,40}") {
        with_refined(&planted(&secret), &Context::default(), |refined| {
            refined.event.for_each_text(|name, text| assert!(!text.contains(&secret), "{name}: {text}"));
            let facts = format!("{:?}", refined.facts);
            assert!(!facts.contains(&secret));
            assert!(refined.event.redactions >= 10, "{}", refined.event.redactions);
        }).unwrap();
    }
}

/// Ids, names, methods and versions, which any sender may fill with anything.
const NAMED_FIELDS: [&str; 16] = [
    "/request/id",
    "/request/method",
    "/request/tls/version",
    "/identity/tid",
    "/identity/oid",
    "/identity/azp",
    "/identity/upn",
    "/consumer/id",
    "/consumer/username",
    "/client_ip",
    "/workspace_name",
    "/route/name",
    "/service/name",
    "/upstream_status",
    "/auth_scheme",
    "/correlation_id",
];

#[test]
fn secrets_are_masked_before_texts_are_cut() {
    // Recognised by its length: what a narrow column leaves of it would pass for a word.
    let random = "q1W2e3R4t5Y6u7I8o9P0a1S2d3F4g5H6j7K8l9Z0x1C2v3B4n5M6";
    let token = format!("eyJhbGciOiJIUzI1NiJ9.{}.{}", "e3R4t5Y6u7I8".repeat(60), "s".repeat(43));
    for (field, secret) in NAMED_FIELDS.into_iter().flat_map(|field| [(field, random), (field, &token)]) {
        let mut entry = json!({
            "started_at": 1_763_972_345_678_i64, "client_ip": "10.0.0.1", "workspace_name": "", "upstream_status": "200",
            "request": {"id": "", "method": "GET", "uri": "/", "tls": {"version": ""}},
            "identity": {"tid": "", "oid": "", "azp": "", "upn": ""}, "consumer": {"id": "", "username": ""},
            "route": {"name": ""}, "service": {"name": ""}, "auth_scheme": "", "correlation_id": "",
            "response": {"status": 200}
        });
        *entry.pointer_mut(field).expect(field) = secret.into();
        with_refined(&entry.to_string(), &Context::default(), |refined| {
            refined.event.for_each_text(|name, text| {
                assert!(!text.to_lowercase().contains("e3r4t5y6u7i8"), "{field} in {name}: {text}");
            });
        })
        .unwrap();
    }
}

#[test]
fn principals_are_named_as_far_as_the_entry_can_be_believed() {
    const OID: &str = "5f0c9a7e-2b41-4c8f-9d36-8e1b7a2c4d55";
    let cases = [
        ("ok_200_oidc.json", Some(format!("9e3d2c1b-0a4f-4b6e-8c7d-1f2e3d4c5b6a/{OID}")), "verified"),
        ("captured/ok_200_jwt.json", Some(format!("9c1d7b7e-0000-4000-8000-5f2a6c3e1a10/{OID}")), "verified"),
        (
            "captured/denied_401_jwt_bad_signature.json",
            Some(format!("9c1d7b7e-0000-4000-8000-5f2a6c3e1a10/{OID}")),
            "claimed",
        ),
        (
            "captured/denied_401_wrong_audience_consumer_set.json",
            Some(format!("9c1d7b7e-0000-4000-8000-5f2a6c3e1a10/{OID}")),
            "verified",
        ),
        ("captured/ok_200_key_auth_key_in_clear.json", Some(format!("consumer:{OID}")), "verified"),
        (
            "captured/tls_client_certificate_not_verified_200.json",
            Some(format!("consumer:{OID}")),
            "verified",
        ),
        ("basic_auth_static_credential.json", Some("consumer:partner-batch-job".into()), "verified"),
        ("anonymous_consumer_200.json", None, "none"),
        ("captured/spoofed_consumer_headers_no_auth.json", None, "none"),
        ("spoofed_consumer_headers_no_auth.json", None, "none"),
    ];
    for (file, principal, basis) in cases {
        with_refined(&fixture(file), &Context::default(), |refined| {
            assert_eq!(refined.event.principal_id.as_deref(), principal.as_deref(), "{file}");
            assert_eq!(refined.event.identity_basis.as_deref(), Some(basis), "{file}");
            assert_eq!(refined.facts.identity.is_unknown(), principal.is_none(), "{file}");
        })
        .unwrap();
    }
    let name = with_refined(&fixture("ok_200_oidc.json"), &Context::default(), |refined| {
        refined.event.principal_name.as_deref().map(str::to_owned)
    });
    assert_eq!(name, Ok(Some("svc-finance-etl".into())));
}

#[test]
fn tokens_without_a_consumer_still_name_their_principal_and_addresses_have_one_spelling() {
    const OID: &str = "5f0c9a7e-2b41-4c8f-9d36-8e1b7a2c4d55";
    let see = |members: &str| {
        let json =
            format!(r#"{{"request":{{}},"response":{{"status":200}},"started_at":1772615000123,{members}}}"#);
        with_refined(&json, &Context::default(), |refined| {
            let text = |text: &Option<std::borrow::Cow<'_, str>>| text.as_deref().unwrap_or("-").to_owned();
            [text(&refined.event.principal_id), text(&refined.event.principal_type)]
        })
        .unwrap()
    };
    let application =
        format!(r#""authenticated_entity":{{"id":"c"}},"identity":{{"oid":"{OID}","sub":"{OID}"}}"#);
    assert_eq!(see(&application), [OID, "service_principal"]);
    let user =
        format!(r#""authenticated_entity":{{"id":"c"}},"identity":{{"oid":"{OID}","sub":"pairwise"}}"#);
    assert_eq!(see(&user), [OID, "unknown"]);
    let mapped = r#"{"request":{},"started_at":1772615000123,"client_ip":"::ffff:192.0.2.7"}"#;
    let address = with_refined(mapped, &Context::default(), |refined| {
        refined.event.client_ip.as_deref() == Some("192.0.2.7")
    });
    assert_eq!(address, Ok(true));
    // The value of `credential_claim`: an id that can only agree with an object id.
    let claim = format!(r#""authenticated_entity":{{"id":"{OID}"}}"#);
    assert_eq!(see(&claim)[0], format!("consumer:{OID}"));
}

#[test]
fn directory_raises_guesses_to_knowledge_and_marks_routes() {
    use crate::directory::{Directory, DirectoryFiles};
    let kong = b"_format_version: \"3.0\"\nservices:\n- name: synapse-dev-endpoint\n  url: https://h\n  routes:\n  - name: synapse-pipelines\n    paths: [/synapse]\n    plugins:\n    - {name: jwt}\n    - {name: acl, config: {allow: [a]}}\n".to_vec();
    let routes = b"route,required_auth,join_eligible\npublic-health,true,false\n".to_vec();
    let files = DirectoryFiles { kong: Some(kong), routes: Some(routes), ..DirectoryFiles::default() };
    let (directory, _) = Directory::load(&files).unwrap();
    let context = Context { directory, ..Context::default() };
    with_refined(&fixture("denied_403_acl.json"), &context, |refined| {
        assert_eq!(verdict_words(refined), "denied AUTHZ_ACL config gateway");
        assert_eq!(refined.event.auth_method.as_deref(), Some("jwt"));
        assert_eq!(refined.event.static_credential, Some(false));
    })
    .unwrap();
    with_refined(&fixture("spoofed_consumer_headers_no_auth.json"), &context, |refined| {
        assert_eq!(refined.event.findings.to_string(), "UNAUTHENTICATED_SUCCESS");
        assert!(!refined.facts.is_eligible);
    })
    .unwrap();
}

#[test]
fn wire_bytes_give_all_their_events() {
    let cases = [
        ("batch_of_3.json", 3, 0),
        ("wire/single_entry_body.json", 1, 0),
        ("wire/batch_of_1_body.json", 1, 0),
        ("wire/batch_of_3_body.json", 3, 0),
        ("wire/entry_invalid_utf8.bin", 1, 1),
        ("wire/batch_with_one_invalid_utf8.bin", 3, 1),
        ("captured/wire/single_entry_slash_escaped_body.json", 1, 0),
        ("captured/wire/lost_ack_attempt_1_body.json", 3, 0),
        ("captured/wire/batch_of_3_one_invalid_utf8.bin", 3, 1),
        ("captured/wire/entry_invalid_utf8_in_header.bin", 1, 1),
        ("captured/wire/file_log_line.ndjson", 1, 0),
    ];
    for (file, event_count, lossy_count) in cases {
        let bytes = std::fs::read(format!("{FIXTURES}/{file}")).unwrap();
        let (mut events, mut lossy) = (0, 0);
        crate::refiner::refine(Side::Kong, &bytes, &Context::default(), &mut |outcome| match outcome {
            Outcome::Event(refined, _) => {
                events += 1;
                lossy += u32::from(refined.event.findings.contains(Finding::InvalidUtf8));
            }
            Outcome::Rejected(rejection, index) => panic!("{file}#{index}: {rejection:?}"),
        });
        assert_eq!((events, lossy), (event_count, lossy_count), "{file}");
    }
}
