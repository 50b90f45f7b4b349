use super::*;
use crate::directory::{Directory, DirectoryFiles};
use crate::refiner::refine as refine_bytes;
use corridor_model::{JoinFacts, Side};
use std::path::{Path, PathBuf};

const WORKSPACES: &str = "workspace,resource_id,tenant_id,client_id,object_id\n\
    synw-audit-prod,/subscriptions/3f6c2a10-0d1b-4c7e-9a55-6b1f0e2d4c88/resourceGroups/rg-analytics-prod/providers/Microsoft.Synapse/workspaces/synw-audit-prod,\
    11111111-aaaa-4bbb-8ccc-222222222222,c0ffee12-3456-4789-9abc-def012345678,7d2b9f4e-51c3-4a0e-8f6a-2c9d1e0b7a41\n";

const GATEWAY: &str = "_format_version: '3.0'\n\
    services:\n- name: orders-svc\n  host: orders.internal.example\n  routes:\n  - name: orders\n    hosts: [api.contoso.example]\n";

fn context() -> Context {
    let files = DirectoryFiles {
        workspaces: Some(WORKSPACES.into()),
        kong: Some(GATEWAY.into()),
        ..DirectoryFiles::default()
    };
    let (directory, _) = Directory::load(&files).unwrap();
    Context { directory, ..Context::default() }
}

/// What a test wants to know of one outcome.
#[derive(Debug)]
struct Seen {
    event: Option<Event<'static>>,
    facts: Option<JoinFacts>,
    rule: &'static str,
    reject: Option<RejectCode>,
    texts: Vec<(&'static str, String)>,
}

fn see(side: Side, bytes: &[u8], context: &Context) -> Vec<Seen> {
    let mut seen = Vec::new();
    refine_bytes(side, bytes, context, &mut |outcome| {
        seen.push(match outcome {
            Outcome::Event(refined, _) => {
                let mut texts = Vec::new();
                refined.event.for_each_text(|name, text| texts.push((name, text.to_owned())));
                let event = &refined.event;
                let category = Cow::Owned(event.category.to_string());
                let mut kept = Event::new(event.source, category, event.event_id, event.event_time);
                kept.verdict = event.verdict;
                kept.findings = event.findings;
                kept.redactions = event.redactions;
                kept.static_credential = event.static_credential;
                kept.http_status = event.http_status;
                kept.duration_ms = event.duration_ms;
                kept.activity_start = event.activity_start;
                kept.activity_end = event.activity_end;
                kept.correlation_origin = event.correlation_origin;
                Seen {
                    event: Some(kept),
                    facts: Some(refined.facts.clone()),
                    rule: refined.explanation.rule,
                    reject: None,
                    texts,
                }
            }
            Outcome::Rejected(rejection, _) => Seen {
                event: None,
                facts: None,
                rule: "",
                reject: Some(rejection.code),
                texts: vec![("detail", rejection.detail), ("preview", rejection.preview)],
            },
        });
    });
    seen
}

impl Seen {
    fn text(&self, wanted: &str) -> &str {
        self.texts.iter().find(|(name, _)| *name == wanted).map_or("-", |(_, text)| text)
    }
}

fn fixtures() -> PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/synapse")).to_path_buf()
}

/// One line per outcome: rule, decision, reason, basis, author, principal, identity basis, correlation id, origin.
fn line(seen: &Seen) -> String {
    let Some(event) = &seen.event else {
        return seen.reject.map_or("-", RejectCode::as_str).to_owned();
    };
    let verdict = event.verdict;
    [
        seen.rule,
        verdict.decision().as_str(),
        verdict.reason().map_or("-", |reason| reason.as_str()),
        verdict.basis().map_or("-", |basis| basis.as_str()),
        verdict.denied_by().map_or("-", |author| author.as_str()),
        seen.text("principal_id"),
        seen.text("identity_basis"),
        seen.text("correlation_id"),
        event.correlation_origin.as_str(),
    ]
    .join(" ")
}

fn read(name: &str) -> Vec<u8> {
    std::fs::read(fixtures().join(name)).unwrap()
}

/// The only event of a fixture.
fn one(name: &str) -> Seen {
    let mut seen = see(Side::Azure, &read(name), &context());
    assert_eq!(seen.len(), 1, "{name}");
    seen.remove(0)
}

#[test]
fn every_fixture_has_its_approved_outcome() {
    let mut names: Vec<String> = std::fs::read_dir(fixtures())
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.path().is_file() && entry.file_name() != "README.md")
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    names.sort();
    let mut got = String::new();
    for name in names {
        got.push_str(&name);
        got.push('\n');
        for seen in see(Side::Azure, &read(&name), &context()) {
            got.push_str(&format!("    {}\n", line(&seen)));
        }
    }
    let approved = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src/azure/tests/approved.txt"));
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(approved, &got).unwrap();
    }
    assert_eq!(
        got,
        std::fs::read_to_string(approved).unwrap(),
        "UPDATE_GOLDEN=1, then review the difference"
    );
}

#[test]
fn documented_pairs_share_their_join_keys() {
    let pairs = [
        ("activity_run_web_ok.json", "kong/kong_web_ok.json", true),
        ("denied_web_401.json", "kong/kong_web_401.json", false),
        ("denied_web_403.json", "kong/kong_web_403.json", true),
        ("denied_web_429.json", "kong/kong_web_429.json", true),
    ];
    for (azure, kong, by_request) in pairs {
        let facts = one(azure).facts.unwrap();
        let entry = see(Side::Kong, &read(kong), &context()).remove(0).facts.unwrap();
        let shares_request = entry.request_ids.iter().any(|id| facts.request_ids.contains(id));
        assert_eq!(shares_request, by_request, "{azure}");
        assert_eq!(facts.correlation_ids, entry.correlation_ids, "{azure}");
        assert!(facts.start <= entry.start && entry.start <= facts.end, "{azure}");
        assert_eq!((facts.call, facts.call_at_host.is_some()), (entry.call, true), "{azure}");
        if entry.call_at_host.is_some() {
            assert_eq!(facts.call_at_host, entry.call_at_host, "{azure}");
            assert_eq!(
                facts.identity.compare(&entry.identity),
                corridor_model::IdentityMatch::Equal,
                "{azure}"
            );
        }
        assert!(facts.is_eligible && facts.is_final_record && facts.expects_gateway_record, "{azure}");
        assert_eq!(facts.takes_partner_verdict, azure.starts_with("denied"), "{azure}");
    }
}

#[test]
fn columns_hold_what_the_record_says() {
    let web = one("denied_web_403.json");
    let event = web.event.as_ref().unwrap();
    assert_eq!((event.http_status, event.duration_ms), (Some(403), Some(831)));
    assert_eq!(web.text("request_id"), "7c2f0e9b1a4d4b6e8f3a5c7d9e1b2f40");
    assert!(
        web.text("error_message").contains("7c2f0e9b1a4d4b6e8f3a5c7d9e1b2f40"),
        "{}",
        web.text("error_message")
    );
    assert_eq!(web.text("url_path"), "/orders/export");
    assert_eq!(web.text("error_code"), "2108");
    let gateway = one("gateway_api_request_ok.json");
    assert_eq!(gateway.event.as_ref().unwrap().http_status, Some(202));
    assert_eq!(gateway.event.as_ref().unwrap().duration_ms, Some(184));
    assert_eq!((gateway.text("query_names"), gateway.text("client_ip")), ("api-version", "198.51.100.24"));
    let login = one("denied_sqlaudit_login_18456.json");
    assert_eq!(login.event.as_ref().unwrap().event_time.to_string(), "2026-03-04T09:42:03.274000Z");
    assert_eq!(login.event.as_ref().unwrap().static_credential, Some(true));
    assert!(login.event.as_ref().unwrap().findings.contains(Finding::StaticCredential));
    assert_eq!((login.text("error_code"), login.text("principal_type")), ("18456", "sql_login"));
    let running = one("activity_run_web_inprogress.json");
    let (event, facts) = (running.event.as_ref().unwrap(), running.facts.as_ref().unwrap());
    assert_eq!(event.activity_end, None, "1601 is no time");
    assert_eq!(facts.end.0 - facts.start.0, 10 * corridor_model::time::MINUTE);
    assert!(!facts.is_final_record && !facts.expects_gateway_record);
    let offset = one("odd_local_offset.json");
    assert_eq!(offset.event.as_ref().unwrap().event_time.to_string(), "2026-03-04T09:20:11.447183Z");
    assert_eq!(one("sqlaudit_batch_select_ok.json").text("statement_hash").len(), 64);
}

#[test]
fn the_same_record_has_the_same_id_in_any_layout() {
    let id = |name: &str| one(name).event.unwrap().event_id;
    assert_eq!(id("gateway_api_request_ok.json"), id("odd_bare_record_no_envelope.json"));
    assert_eq!(id("gateway_api_request_ok.json"), id("odd_capital_records_key.json"));
    assert_eq!(id("activity_run_web_ok.json"), id("odd_nested_json_strings_null_words.json"));
    assert_ne!(id("activity_run_web_ok.json"), id("activity_run_web_inprogress.json"));
    let upper = br#"{"category":"IntegrationActivityRuns","time":"2026-03-04T09:00:00Z","activityRunId":"{AA11BB22-CC33-4D44-8E55-FF6677889900}","status":"Succeeded"}"#;
    let lower = br#"{"category":"IntegrationActivityRuns","time":"2026-03-04T10:00:00+01:00","activityRunId":"aa11bb22-cc33-4d44-8e55-ff6677889900","status":"Succeeded"}"#;
    let of = |text: &[u8]| see(Side::Azure, text, &context())[0].event.as_ref().unwrap().event_id;
    assert_eq!(of(upper), of(lower));
}

/// An activity with the given parts.
fn activity(url: &str, status: &str, error: &str, headers: &str) -> Vec<u8> {
    format!(
        r#"{{"category":"IntegrationActivityRuns","time":"2026-03-04T09:20:16Z","start":"2026-03-04T09:20:13Z","end":"2026-03-04T09:20:15Z",
        "resourceId":"/subscriptions/3f6c2a10-0d1b-4c7e-9a55-6b1f0e2d4c88/resourceGroups/rg-analytics-prod/providers/Microsoft.Synapse/workspaces/synw-audit-prod",
        "activityRunId":"a1","pipelineRunId":"e2f3a4b5-c6d7-48e9-8a0b-1c2d3e4f5a6b","activityType":"WebActivity","status":"{status}",
        "properties":{{"Input":{{"method":"GET","url":"{url}","headers":{{{headers}}}}},"Error":{{"message":{error:?}}}}}}}"#
    )
    .into_bytes()
}

#[test]
fn a_call_round_the_gateway_is_a_finding() {
    let cases = [
        ("https://orders.internal.example:8443/x", "Succeeded", "", true, false),
        ("https://ORDERS.internal.example/x", "Failed", "HttpStatusCode - '500 : x'", true, false),
        ("https://orders.internal.example/x", "Failed", "No response from the endpoint.", false, false),
        ("https://orders.internal.example/x", "InProgress", "", false, false),
        ("https://api.contoso.example/x", "Succeeded", "", false, true),
        ("https://elsewhere.example/x", "Succeeded", "", false, false),
    ];
    for (url, status, error, bypass, expects) in cases {
        let seen = see(Side::Azure, &activity(url, status, error, ""), &context()).remove(0);
        let facts = seen.facts.unwrap();
        assert_eq!(facts.findings.contains(Finding::GatewayBypass), bypass, "{url} {status}");
        assert_eq!(facts.expects_gateway_record, expects, "{url} {status}");
    }
}

#[test]
fn a_correlation_id_that_is_the_run_id_names_the_run() {
    let headers = r#""x-CORRELATION-id":"E2F3A4B5-C6D7-48E9-8A0B-1C2D3E4F5A6B""#;
    let seen =
        see(Side::Azure, &activity("https://api.contoso.example/x", "Succeeded", "", headers), &context())
            .remove(0);
    let facts = seen.facts.unwrap();
    assert!(facts.correlation_ids.is_empty() && facts.run_id.is_some() && facts.call.is_some());
    let numbered = r#""Kong-Request-ID":"5d3c7e10-9b2f-4f6a-8c41-72e0a9d4b618#7""#;
    let seen =
        see(Side::Azure, &activity("https://a.example/x", "Succeeded", "", numbered), &context()).remove(0);
    assert_eq!(seen.event.unwrap().correlation_origin.as_str(), "gateway");
    assert_eq!(seen.facts.unwrap().correlation_ids[0].counter, Some(7));
}

#[test]
fn what_is_no_record_is_rejected_with_its_reason() {
    let cases: [(&[u8], RejectCode); 7] = [
        (br#"{"a":1}"#, RejectCode::NotARecord),
        (b"[5]", RejectCode::NotARecord),
        (br#"{"category":"X","time":"1601-01-01T00:00:00Z"}"#, RejectCode::EventTimeInvalid),
        (br#"{"category":"X","resourceId":"/a"}"#, RejectCode::EventTimeInvalid),
        (br#"{"category":"X","time":"2026-03-04T09:00:00Z","#, RejectCode::NotJson),
        (br#"{"time":"2026-03-04T09:00:00Z","metricName":"m","total":1}"#, RejectCode::MetricRecord),
        (b"plain text", RejectCode::NotJson),
    ];
    for (bytes, want) in cases {
        let seen = see(Side::Azure, bytes, &context());
        assert_eq!(seen[0].reject, Some(want), "{}", String::from_utf8_lossy(bytes));
    }
}

#[test]
fn unknown_categories_and_fields_pass_through() {
    let text = br#"{"category":"Brand New","time":"2026-03-04T09:00:00Z","resourceId":"/x","resultType":"Success","wheels":4,"properties":{"colour":"red","apiKey":"k","body":"b"}}"#;
    let seen = see(Side::Azure, text, &context()).remove(0);
    assert_eq!(seen.event.as_ref().unwrap().category, "Brand New");
    assert_eq!(seen.event.as_ref().unwrap().verdict, corridor_model::Verdict::ALLOWED);
    assert!(seen.text("extra").contains(r#""colour":"red""#) && seen.text("extra").contains(r#""wheels":4"#));
    for name in ["body", "apiKey"] {
        assert!(!seen.text("extra").contains(name), "{name}");
    }
}

#[test]
fn neighbours_are_told_by_what_they_really_say() {
    const ALICE: &str = "5a1d7c39-84be-4f20-9b6e-0c3f2d8a1e55";
    let cases = [
        (
            "the display name does not hide who signed in",
            r#""category":"SignInLogs","resultType":"0","identity":"Alice Ng","properties":{"userId":"5a1d7c39-84be-4f20-9b6e-0c3f2d8a1e55","userPrincipalName":"alice.ng@contoso.example"}"#,
            ["AZ-SIGNIN-OK", "allowed", "-", "verified"],
        ),
        (
            "a sign-in may state its error in properties only",
            r#""category":"SignInLogs","properties":{"userId":"5a1d7c39-84be-4f20-9b6e-0c3f2d8a1e55","status":{"errorCode":50126,"failureReason":"Invalid password."}}"#,
            ["AZ-SIGNIN", "denied", "AZURE_DENIED", "claimed"],
        ),
        (
            "a forbidden change names a caller who is known",
            r#""category":"Administrative","resultType":"Failure","resultSignature":"Failed.Forbidden","identity":{"claims":{"oid":"5a1d7c39-84be-4f20-9b6e-0c3f2d8a1e55"}}"#,
            ["AZ-DENIED", "denied", "AZURE_DENIED", "verified"],
        ),
    ];
    for (name, members, [rule, decision, reason, basis]) in cases {
        let text = format!(r#"{{"time":"2026-03-04T09:00:00Z",{members}}}"#);
        let seen = see(Side::Azure, text.as_bytes(), &Context::default()).remove(0);
        let words = line(&seen);
        let words: Vec<_> = words.split(' ').collect();
        assert_eq!([words[0], words[1], words[2], words[6]], [rule, decision, reason, basis], "{name}");
        assert_eq!(seen.text("object_id"), ALICE, "{name}");
    }
}

#[test]
fn ids_of_azure_have_one_spelling() {
    let text = br#"{"category":"IntegrationPipelineRuns","time":"2026-03-04T09:00:00Z","status":"Succeeded",
        "correlationId":"{0F3A9C52-6C0D-4E0F-9A77-1B8F6F1D2C3E}","runId":"0F3A9C52-6C0D-4E0F-9A77-1B8F6F1D2C3E"}"#;
    let seen = see(Side::Azure, text, &Context::default()).remove(0);
    for column in ["correlation_id", "azure_correlation_id", "pipeline_run_id"] {
        assert_eq!(seen.text(column), "0f3a9c52-6c0d-4e0f-9a77-1b8f6f1d2c3e", "{column}");
    }
}

#[test]
fn pseudonyms_leave_no_name_and_no_address() {
    let pseudonyms = crate::redact::Pseudonymiser::new(&[7; 32], "k1");
    let context = Context { pseudonyms, ..context() };
    for name in
        ["gateway_api_request_ok.json", "sqlaudit_batch_select_ok.json", "denied_rbac_role_assignment.json"]
    {
        for seen in see(Side::Azure, &read(name), &context) {
            let all = format!("{:?} {:?}", seen.texts, seen.facts.unwrap().summary);
            for personal in ["alice.ng", "bob@", "bob_", "198.51.100.24"] {
                assert!(!all.contains(personal), "{name}: {personal} in {all}");
            }
        }
    }
}

mod properties {
    use super::*;
    use proptest::prelude::*;

    /// Every place of a record where a secret can be planted.
    fn planted(secret: &str) -> Vec<Vec<u8>> {
        let token = format!("eyJhbGciOiJIUzI1NiJ9.{secret}abcdefgh.{secret}ijklmnop");
        let headers =
            format!(r#""Authorization":"Bearer {token}","X-Custom":"{secret}","Cookie":"a={secret}""#);
        let error = format!(
            "Error calling 'https://h.example/p?sig={secret}'. Response status code: '401' Bearer {token}"
        );
        let web =
            activity(&format!("https://u:{secret}@h.example/p?code={secret}"), "Failed", &error, &headers);
        let body = format!(
            r#"{{"category":"IntegrationActivityRuns","time":"2026-03-04T09:20:16Z","activityRunId":"a","status":"Failed","properties":{{
            "Input":{{"url":"https://h/p","body":{{"x":"{secret}"}},"authentication":{{"type":"Basic","password":"{secret}"}}}},
            "Output":{{"result":"{secret}"}},"Parameters":{{"p":"{secret}"}}}}}}"#
        );
        let audit = format!(
            r#"{{"category":"SQLSecurityAuditEvents","time":"2026-03-04T09:20:16Z","properties":{{"action_id":"BCM","succeeded":"false",
            "server_principal_name":"a@b.example","statement":"CREATE LOGIN x WITH PASSWORD = '{secret}'",
            "additional_information":"<failure_reason>Err 245, Conversion failed of the value '{secret}'</failure_reason>"}}}}"#
        );
        let exec = format!(
            r#"{{"category":"ExecRequests","time":"2026-03-04T09:20:16Z","properties":{{"RequestId":"QID1","Command":"SELECT '{secret}'","Status":"Failed"}}}}"#
        );
        let claims = format!(
            r#"{{"category":"GatewayApiRequests","time":"2026-03-04T09:20:16Z","resultSignature":"403","requestUri":"https://w/p?access_token={secret}",
            "identity":{{"claims":{{"oid":"5a1d7c39-84be-4f20-9b6e-0c3f2d8a1e55","aio":"{secret}","puid":"{secret}","groups":["{secret}"]}},"token":"{secret}"}}}}"#
        );
        let texts = [body, audit, exec, claims].map(String::into_bytes);
        std::iter::once(web).chain(texts).collect()
    }

    proptest! {
        #[test]
        fn planted_secrets_never_leave(secret in "S3cr[a-z0-9]{12}") {
            for text in planted(&secret) {
                for seen in see(Side::Azure, &text, &context()) {
                    prop_assert!(seen.reject.is_none(), "{}", String::from_utf8_lossy(&text));
                    prop_assert!(seen.event.as_ref().unwrap().redactions > 0);
                    for (name, value) in &seen.texts {
                        prop_assert!(!value.contains(&secret), "{name} holds {value}");
                    }
                    let facts = format!("{:?}", seen.facts);
                    prop_assert!(!facts.contains(&secret), "{facts}");
                }
            }
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            see(Side::Azure, &bytes, &Context::default());
        }

        #[test]
        fn damaged_records_never_panic(at in any::<proptest::sample::Index>(), byte in any::<u8>(), which in 0usize..4) {
            let names = ["activity_run_web_ok.json", "denied_sqlaudit_select_229.json", "kusto_pool_query.json", "envelope_mixed.json"];
            let mut bytes = read(names[which]);
            let at = at.index(bytes.len());
            bytes[at] = byte;
            see(Side::Azure, &bytes, &context());
            see(Side::Azure, &bytes[..at], &context());
        }

        #[test]
        fn any_value_in_any_place_never_panics(
            key in "(identity|properties|status|time|userProperties|Input|Error|claims|statement|resourceId)",
            value in r#"("x"|5|null|true|1e400|\[\]|\{\}|\["a",\{"name":"b","value":1\}\]|"\{\\"a\\":1\}"|\{"value":\{"value":"v"\}\})"#,
        ) {
            let text = format!(r#"{{"category":"IntegrationActivityRuns","time":"2026-03-04T09:20:16Z","{key}":{value},"properties":{{"{key}":{value}}}}}"#);
            see(Side::Azure, text.as_bytes(), &context());
        }
    }
}
