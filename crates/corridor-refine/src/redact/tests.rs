//! Tests of redaction: planted secrets never survive, evidence does.

use super::*;
use corridor_model::{EventId, Micros, Source};
use proptest::prelude::*;

const JWT: &str = "eyJhbGciOiJSUzI1NiJ9.eyJvaWQiOiI1YTFkN2MzOSJ9.c2lnbmF0dXJlLXBhcnQ";
const BASE64: &str = "q83vEjRWeJASNFZ4kKvN7xI0VniQq83vEjRWeJCrze8SNFZ4kKvN7w==";

fn masked(text: &str) -> String {
    mask_text(text, &mut 0).into_owned()
}

fn redacted(side: Side, text: &str) -> (String, u32) {
    let mut out = Vec::new();
    let count = record(side, text, None, &mut out);
    (String::from_utf8(out).expect("JSON text"), count)
}

#[test]
fn secret_shapes_are_masked_and_the_rest_stays() {
    let cases = [
        (format!("got {JWT}."), "got [redacted]"),
        (format!("Authorization: Bearer {JWT}\nHost: a"), "Authorization: [redacted]\nHost: a"),
        ("sent Bearer abc123def for it".into(), "sent Bearer [redacted] for it"),
        ("Basic dTpw, please".into(), "Basic [redacted], please"),
        (
            "DefaultEndpointsProtocol=https;AccountName=st;AccountKey=Zm9vYmFy==;EndpointSuffix=core.windows.net".into(),
            "DefaultEndpointsProtocol=https;AccountName=st;AccountKey=[redacted];EndpointSuffix=core.windows.net",
        ),
        ("Server=a;User ID=sa;Password=p@ss,w0rd;Database=x".into(), "Server=a;User ID=sa;Password=[redacted];Database=x"),
        ("https://st.blob.core.windows.net/c/f?sv=2024&sig=ab%2Bcd%3D".into(), "https://st.blob.core.windows.net/c/f?sv=[redacted]&sig=[redacted]"),
        ("SharedAccessSignature sr=x&sig=abc%3D&se=1".into(), "SharedAccessSignature sr=x&sig=[redacted]&se=1"),
        (r#"{"client_secret":"a\"b","x":1}"#.into(), r#"{"client_secret":"[redacted]","x":1}"#),
        (r#"{\"password\":\"hunter2\",\"x\":1}"#.into(), r#"{\"password\":\"[redacted]\",\"x\":1}"#),
        (r#"{"password":12345,"x":1}"#.into(), r#"{"password":"[redacted]","x":1}"#),
        ("grant=1&client_secret%3Dabc%26x%3D1".into(), "grant=1&client_secret%3D[redacted]%26x%3D1"),
        ("%22password%22%3A%22abc%22%2C%22x%22".into(), "%22password%22%3A%22[redacted]%22%2C%22x%22"),
        ("POST /cb?code=0.AXoAabc&state=xyz HTTP/1.1".into(), "POST /cb?code=[redacted]&state=[redacted] HTTP/1.1"),
        ("clone https://ana:pw@git.example/r".into(), "clone https://[redacted]@git.example/r"),
        ("-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY----- rest".into(), "[redacted] rest"),
        ("id AKIAIOSFODNN7EXAMPLE used".into(), "id [redacted] used"),
        ("X-Amz-Signature=0123abcd".into(), "X-Amz-Signature=[redacted]"),
        (format!("leaked {BASE64} here"), "leaked [redacted] here"),
        ("x-api-key: s3cr3t\r\nhost: a".into(), "x-api-key: [redacted]\r\nhost: a"),
        ("Cookie: a=b; c=d\nHost: x".into(), "Cookie: [redacted]\nHost: x"),
        ("PASSWORD=Bearer abc".into(), "PASSWORD=[redacted]"),
        ("pwd='two words' x".into(), "pwd='[redacted]' x"),
    ];
    for (text, want) in cases {
        assert_eq!(masked(&text), want, "{text}");
    }
}

#[test]
fn a_record_of_any_form_is_transcoded() {
    let deep = "[".repeat(100) + &"]".repeat(100);
    let cases = [
        (r#"{"auth_scheme":{"kind":[true]}}"#, r#"{"auth_scheme":{"kind":[true]}}"#),
        (" { \"a\" : [ 1 , { } ] , \"b\":\"x\" }\n", r#"{"a":[1,{}],"b":"x"}"#),
        (r#"{"\u0061":"\u00e9\/","password" : [ "x" ]}"#, r#"{"a":"é/","password":"[redacted]"}"#),
        (r#"{"a":"\ud800"}"#, r#"{"a":"[redacted]"}"#),
        (deep.as_str(), deep.as_str()),
    ];
    for (text, want) in cases {
        // What is remembered of the names changes nothing.
        for _ in 0..2 {
            assert_eq!(redacted(Side::Kong, text).0, want, "{text}");
        }
    }
    for text in ["{\"a\":1,}", "[1 2]", "{\"a\" 1}", "\"a", "{\"a\":01}", "[1]x", "{\"a\":\"\u{1}\"}"] {
        assert!(redacted(Side::Kong, text).0.starts_with('"'), "{text} is no JSON");
    }
}

#[test]
fn clean_text_is_borrowed() {
    let cases = [
        "5d3c7e10-9b2f-4f6a-8c41-72e0a9d4b618",
        "4b1c9a7e2d6f4c0d9a8e51f2c3b7d604",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "/SUBSCRIPTIONS/3F6C2A10-0D1B-4C7E-9A55-6B1F0E2D4C88/RESOURCEGROUPS/RG-ANALYTICS-PROD/PROVIDERS/MICROSOFT.SYNAPSE/WORKSPACES/SYNW-AUDIT-PROD/SQLPOOLS/DWHPROD",
        "/subscriptions/3f6c2a10-0d1b-4c7e-9a55-6b1f0e2d4c88/resourceGroups/rgAnalyticsProd01/providers/Microsoft.Synapse/workspaces/synw-audit-prod",
        "/synapse/pipelines/LoadCustomersFromSalesforceV2/createRun",
        "Wed, 04 Mar 2026 09:20:15 GMT",
        "2026-03-04T09:20:16.0220000Z",
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36",
        "python-requests/2.32.3",
        "Bearer error=\"invalid_token\", error_description=\"token expired\"",
        "Bearer realm=\"service\"",
        "Key realm=\"kong\"",
        "Basic realm=\"service\"",
        "bearer token is missing",
        "No API key found in request",
        "Invalid signature",
        "{\"exp\":\"token expired\"}",
        "{\"message\":\"You cannot consume this service\",\"request_id\":\"7c2f0e9b1a4d4b6e8f3a5c7d9e1b2f40\"}",
        "Invoking Web Activity failed with HttpStatusCode - '401 : Unauthorized', message - ''",
        "Error calling the endpoint 'https://api.contoso.example/orders/export'. Response status code: '403'",
        "errorCode=2108, code: 401",
        "abfss://curated@stdatalake.dfs.core.windows.net/orders/",
        "https://sts.windows.net/11111111-aaaa-4bbb-8ccc-222222222222/",
        "{\"prompt_tokens\":12,\"completion_tokens\":7,\"total_tokens\":19}",
        "alice.ng@contoso.example",
        "user_impersonation workspaceartifacts.management",
        "0x397C1D5ABE84204F9B6E0C3F2D8A1E55",
        "1.1 kong/3.14.0.0-enterprise-edition",
        "key-auth",
        "What? nothing = fine",
    ];
    for text in cases {
        assert!(matches!(mask_text(text, &mut 0), Cow::Borrowed(_)), "{text} became {}", masked(text));
    }
}

#[test]
fn what_guards_found_and_errors_quote_is_not_kept() {
    let entry = r#"{"request":{},"auth_scheme":"Basic planted-1","ai":{"proxy":{"guard":{"input_block_reason":"said planted-2","mode":"INPUT"},
        "cache":{"embeddings_input":"planted-3"}},"sanitizer":{"original":"planted-4"},"a2a":{"rpc":[{"message":"planted-5","method":"send"}]}}}"#;
    let (out, _) = redacted(Side::Kong, entry);
    assert!(!out.contains("planted"), "{out}");
    assert!(out.contains(r#""mode":"INPUT""#) && out.contains(r#""method":"send""#), "{out}");
    assert!(redacted(Side::Kong, r#"{"auth_scheme":"Bearer"}"#).0.contains("Bearer"));

    let record = r#"{"properties":{"ExplainOutput":"<sql>SELECT 'planted-1'</sql>",
        "additional_information":"<failure_reason>Err 245, Conversion failed when converting the varchar value 'planted-2'</failure_reason>",
        "error":"Violation of x. The duplicate key value is (planted-3)."}}"#;
    let (out, count) = redacted(Side::Azure, record);
    assert!(!out.contains("planted"), "{out}");
    assert!(out.contains("Err 245") && count == 3, "{out}");
    let denial =
        r#"{"additional_information":"Err 229, The SELECT permission was denied on the object 'payroll'"}"#;
    assert!(redacted(Side::Azure, denial).0.contains("payroll"), "names of objects are evidence");
}

#[test]
fn secret_names_are_told_from_evidence() {
    for name in [
        "Authorization",
        "proxy-authorization",
        "Set-Cookie",
        "apikey",
        "X-API-Key",
        "ocp-apim-subscription-key",
        "client_secret",
        "clientSecret",
        "access_token",
        "x-id-token",
        "PASSWORD",
        "x-functions-key",
        "sig",
        "pwd",
        "X-Amz-Security-Token",
        "connectionString",
        "access_tokens",
    ] {
        assert!(is_secret_name(name), "{name}");
    }
    for name in [
        "kong-request-id",
        "x-correlation-id",
        "x-credential-identifier",
        "prompt_tokens",
        "completion_token",
        "total_tokens",
        "time_per_token",
        "keyauth",
        "user-agent",
        "code",
        "resultSignature",
        "tokenIssuerType",
        "uniqueTokenIdentifier",
        "www-authenticate",
        "x-kong-upstream-latency",
        "session_id",
        "",
    ] {
        assert!(!is_secret_name(name), "{name}");
    }
}

#[test]
fn a_kong_entry_keeps_its_evidence_only() {
    let entry = r#"{ "request": {"id":"5d6f0b3c9a1e4f7788c2d1e0a9b8c7d6","headers":{"apikey":"planted-1","authorization":"REDACTED",
        "cookie":["a=planted-2","b=planted-3"],"user-agent":"curl/8.5","referer":"https://x.example/?q=planted-4"},
        "querystring":{"apikey":"planted-5","a":["planted-6",true]},"size":1874,
        "uri":"\/synapse\/x?apikey=planted-7&b=planted%208","url":"https://u:planted-9@api.example/x?y=planted-10"},
        "latencies":{"client":0.59136,"proxy":-1},"upstream_uri":"/x?z=planted 11",
        "ai":{"proxy":{"usage":{"prompt_tokens":12},"payload":{"request":"planted-12"},"meta":{"response_model":"m"}},
              "payload":{"original_request":"planted-13"}},
        "client_ip":"10.20.30.41","denial":{"message":"{\"message\":\"Bearer planted14x\"}"}}"#;
    let (out, count) = redacted(Side::Kong, entry);
    assert!(!out.contains("planted"), "{out}");
    for kept in [
        "5d6f0b3c9a1e4f7788c2d1e0a9b8c7d6",
        "\"authorization\":\"REDACTED\"",
        "curl/8.5",
        "\"apikey\":\"[redacted]\"",
        "/synapse/x?apikey=[redacted]&b=[redacted]",
        "0.59136",
        "\"prompt_tokens\":12",
        "10.20.30.41",
        "\"response_model\":\"m\"",
        "[\"[redacted]\",true]",
    ] {
        assert!(out.contains(kept), "{kept} in {out}");
    }
    assert!(count >= 12, "{count}");
    serde_json::from_str::<serde_json::Value>(&out).expect("still JSON");
}

#[test]
fn an_azure_record_keeps_its_evidence_only() {
    let record = r#"{"identity":"{\"claims\":{\"oid\":\"5a1d7c39-84be-4f20-9b6e-0c3f2d8a1e55\",\"name\":\"planted 1\",
        \"http://schemas.microsoft.com/identity/claims/objectidentifier\":\"5a1d\",\"puid\":\"planted-2\"},\"authorization\":{\"action\":\"write\"}}",
        "properties":{"Input":{"method":"POST","url":"https://a.example/x?k=planted-3","headers":{"X-Correlation-ID":"c-1","apikey":"planted-4"},
        "body":"{\"p\":\"planted-5\"}","authentication":{"type":"MSI","password":"planted-6","resource":"api://kong"}},
        "Output":{"exported":"planted-7","deep":{"a":"planted-8"},"ADFHttpStatusCodeInResponse":"200",
        "ADFWebActivityResponseHeaders":{"X-Kong-Request-Id":"4b1c","Set-Cookie":"planted-9"}},
        "statement":"SELECT * FROM hr.p WHERE n = 'planted-10' -- planted-11","queryText":"CREATE LOGIN x WITH PASSWORD = N'planted-12'",
        "requestbody":"{\"properties\":{\"principalId\":\"p-1\",\"password\":\"planted-13\"}}","responseBody":"planted-14",
        "pairs":[{"name":"client_secret","value":"planted-15"},{"name":"plain","value":"v-1"}]},
        "userProperties":"{\"kongCorrelationId\":\"5d3c7e10\",\"token\":\"planted-16\"}"}"#;
    let (out, _) = redacted(Side::Azure, &record.replace("\n", ""));
    assert!(!out.contains("planted"), "{out}");
    for kept in [
        "5a1d7c39-84be-4f20-9b6e-0c3f2d8a1e55",
        r#"objectidentifier\":\"5a1d"#,
        r#"\"action\":\"write\""#,
        "c-1",
        "MSI",
        "api://kong",
        "\"exported\":\"[redacted]\"",
        "\"ADFHttpStatusCodeInResponse\":\"200\"",
        "\"X-Kong-Request-Id\":\"4b1c\"",
        "SELECT * FROM hr.p WHERE n = ?",
        "WITH PASSWORD = ?",
        "p-1",
        "v-1",
        "5d3c7e10",
    ] {
        assert!(out.contains(kept), "{kept} in {out}");
    }
}

#[test]
fn every_fixture_becomes_json_and_stays_evidence() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures");
    for (folder, side) in [("kong", Side::Kong), ("kong/captured", Side::Kong), ("synapse", Side::Azure)] {
        for file in std::fs::read_dir(format!("{root}/{folder}")).expect("fixtures are there") {
            let path = file.expect("readable").path();
            if path.extension().is_none_or(|extension| extension != "json") {
                continue;
            }
            let text = std::fs::read_to_string(&path).expect("text");
            let text = text.trim_start_matches('\u{feff}');
            let (out, _) = redacted(side, text);
            serde_json::from_str::<serde_json::Value>(&out)
                .unwrap_or_else(|error| panic!("{path:?}: {error}"));
            let (again, _) = redacted(side, &out);
            assert_eq!(again, out, "redaction is stable: {path:?}");
        }
    }
}

#[test]
fn what_is_no_json_becomes_a_masked_text() {
    for text in [
        "",
        "{",
        "{'a': 'Bearer abcdef12345'}",
        "{\"body\":\"planted\"",
        "{\"cookie\":[\"a=planted\",\"planted",
        "{\"ExplainOutput\":\"<sql>'planted",
        &"[".repeat(300),
        &("[".repeat(300) + &"]".repeat(300)),
    ] {
        let (out, _) = redacted(Side::Kong, text);
        let shown: String = serde_json::from_str(&out).expect("a JSON string");
        assert!(!shown.contains("planted") && !shown.contains("abcdef"), "{shown}");
    }
}

#[test]
fn statements_lose_literals_and_comments() {
    let cases = [
        (
            "SELECT  TOP 100 *\n FROM dbo.t1 WHERE a='it''s' AND b=-1.5e+3",
            "SELECT TOP ? * FROM dbo.t1 WHERE a=? AND b=-?",
        ),
        ("CREATE LOGIN [x] WITH PASSWORD = N'p', SID=0x0A", "CREATE LOGIN [x] WITH PASSWORD = ?, SID=?"),
        ("ALTER LOGIN x WITH PASSWORD=unquoted", "ALTER LOGIN x WITH PASSWORD=?"),
        ("/* a /* nested */ secret */ SELECT 1 -- tail 'x", "SELECT ?"),
        ("SELECT 'open literal", "SELECT ?"),
        ("SELECT [open name", "SELECT ?"),
        ("SELECT \"maybe a literal\"", "SELECT ?"),
        ("GRANT SELECT ON SCHEMA::hr TO [sp-reporting]", "GRANT SELECT ON SCHEMA::hr TO [sp-reporting]"),
        ("IN (1,2, 3)", "IN (?,?, ?)"),
    ];
    for (statement, want) in cases {
        assert_eq!(normalise_sql(statement), want, "{statement}");
        assert_eq!(normalise_sql(want), want, "stable: {want}");
    }
}

#[test]
fn the_verb_leads_the_statement() {
    let cases = [
        (" -- c\n select 1", Some("SELECT")),
        ("CREATE LOGIN x", Some("CREATE")),
        ("execute sp_who", Some("EXEC")),
        ("WITH c AS (SELECT 1), d AS (DELETE) INSERT INTO t SELECT 1", Some("INSERT")),
        (";;(SELECT 1)", Some("SELECT")),
        ("sp_who", None),
        ("'x'", None),
        ("", None),
    ];
    for (statement, want) in cases {
        assert_eq!(sql_verb(statement), want, "{statement}");
    }
}

#[test]
fn user_agents_keep_family_and_major_version() {
    let cases = [
        (
            "Mozilla/5.0 (X11; Linux) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.1 Safari/537.36 Edg/121.0",
            "edge/121",
        ),
        ("Mozilla/5.0 (Macintosh) AppleWebKit/605 (KHTML, like Gecko) Version/17.2 Safari/605", "safari/17"),
        ("Mozilla/5.0 (compatible; Googlebot/2.1; +http://g)", "googlebot/2"),
        ("python-requests/2.32.3", "python-requests/2"),
        ("azure-synapse/1", "azure-synapse/1"),
        ("curl", "curl"),
        ("<script>", "other"),
        ("", ""),
    ];
    for (agent, want) in cases {
        assert_eq!(user_agent_family(agent), want, "{agent}");
    }
}

#[test]
fn pseudonyms_are_stable_keyed_and_replace_personal_values() {
    let pseudonyms = Pseudonymiser::new(b"0123456789abcdef", "k1").expect("long enough");
    let other = Pseudonymiser::new(b"0123456789abcdeX", "k2").expect("long enough");
    assert!(Pseudonymiser::new(b"short", "k").is_none());
    assert!(!format!("{pseudonyms:?}").contains("0123"));
    let alice = pseudonyms.hash("upn", "Alice.NG@contoso.example");
    assert_eq!(alice.len(), 32);
    assert_eq!(alice, pseudonyms.hash("upn", " alice.ng@contoso.example"));
    assert_ne!(alice, other.hash("upn", "alice.ng@contoso.example"));
    assert_ne!(alice, pseudonyms.hash("name", "alice.ng@contoso.example"));
    assert_eq!(pseudonyms.hash("ip", "::ffff:10.0.0.1"), pseudonyms.hash("ip", "10.0.0.1:443"));
    assert_eq!(pseudonyms.hash("ip", "2001:DB8:0:0::1"), pseudonyms.hash("ip", "2001:db8::1"));

    let mut event = Event::new(Source::Kong, "http".into(), EventId([0; 32]), Micros(0));
    event.client_ip = Some("10.0.0.1".into());
    event.principal_id = Some("alice.ng@contoso.example".into());
    event.principal_name = Some("Alice Ng".into());
    event.principal_type = Some("user".into());
    event.consumer_name = Some("svc-etl".into());
    event.error_message = Some("address 10.0.0.1 of Alice.Ng@contoso.example.".into());
    pseudonyms.apply(&mut event);
    assert_eq!(event.principal_id.as_deref(), Some(&*alice));
    assert_eq!(event.consumer_name.as_deref(), Some("svc-etl"));
    assert_eq!(event.pseudonym_key_id.as_deref(), Some("k1"));
    let ip = pseudonyms.hash("ip", "10.0.0.1");
    assert_eq!(event.client_ip.as_deref(), Some(&*ip));
    assert_eq!(event.error_message.as_deref(), Some(&*format!("address {ip} of {alice}.")));
    assert_eq!(event.principal_name.as_deref(), Some(&*pseudonyms.hash("name", "Alice Ng")));

    let text = r#"{"client_ip":"10.0.0.1","consumer":{"username":"alice.ng@contoso.example"},"request":{"headers":{"x-forwarded-for":"10.0.0.1, 10.0.0.2"}},"denial":{"message":"IP address not allowed: 10.0.0.1"}}"#;
    let mut out = Vec::new();
    record(Side::Kong, text, Some(&pseudonyms), &mut out);
    let out = String::from_utf8(out).expect("text");
    assert!(!out.contains("10.0.0") && !out.contains("alice"), "{out}");
    assert!(out.contains(&ip) && out.contains(&alice), "{out}");
}

#[test]
fn sweep_masks_every_text_column_and_counts() {
    let mut event = Event::new(Source::Kong, "http".into(), EventId([0; 32]), Micros(0));
    event.url_path = Some(format!("/x/{JWT}").into());
    event.extra = Some(r#"{"note":"password=hunter2"}"#.into());
    event.redactions = 1;
    sweep(&mut event);
    assert_eq!(event.url_path.as_deref(), Some("/x/[redacted]"));
    assert_eq!(event.extra.as_deref(), Some(r#"{"note":"password=[redacted]"}"#));
    assert_eq!(event.redactions, 3);
}

#[test]
fn ids_methods_and_versions_are_swept_too() {
    let mut event = Event::new(Source::Kong, "http".into(), EventId([0; 32]), Micros(0));
    let sent = [
        &mut event.tenant_id,
        &mut event.object_id,
        &mut event.app_id,
        &mut event.auth_method,
        &mut event.http_method,
        &mut event.tls_version,
    ];
    let sent = sent.map(|text| *text = Some(JWT.into())).len();
    sweep(&mut event);
    event.for_each_text(|column, text| assert_eq!(text, MASK, "{column}"));
    assert_eq!(event.redactions as usize, sent);
}

#[test]
fn sql_literals_of_passwords_are_masked_whole() {
    for literal in ["N'hunter2'", "n'hunter2'", "'hun''ter2'", "N'hun''ter2'", "'hunter2"] {
        let text = format!("Login failed: CREATE LOGIN x WITH PASSWORD={literal}");
        let masked = mask_text(&text, &mut 0);
        assert!(masked.contains(MASK) && !masked.contains("hun") && !masked.contains("ter2"), "{masked}");
    }
    assert_eq!(mask_text("password='' and x='y'", &mut 0), "password='' and x='y'");
}

#[test]
fn tokens_in_statements_and_behind_escapes_are_masked() {
    for command in [JWT.to_owned(), "https://h/?sig=c2VjcmV0c2lnbmF0dXJl".to_owned(), format!("/p/{JWT}")] {
        let text = format!(r#"{{"category":"ExecRequests","properties":{{"Command":"{command}"}}}}"#);
        let mut out = Vec::new();
        record(Side::Azure, &text, None, &mut out);
        let out = String::from_utf8(out).expect("text");
        let tail = command.rsplit(['.', '=']).next().expect("a last part");
        assert!(out.contains(MASK) && !out.contains(tail), "{out}");
    }
    let escaped = JWT.replace("ey", "\\u0065y");
    assert!(!preview(&escaped).contains(JWT.rsplit('.').next().expect("a last part")));
}

#[test]
fn hostile_text_takes_linear_time() {
    for piece in [
        "token",
        "://",
        "?a",
        "eyJ",
        "password=REDACTED",
        "aeyJa",
        "code=1",
        "\"token\":",
        "Bearer ",
        "%3F",
        "A1b/",
    ] {
        let text = piece.repeat(10_000);
        mask_text(&text, &mut 0);
    }
}

/// A secret of each shape, and the texts it may stand in. The middle of the secret is what must not survive.
fn planted() -> impl Strategy<Value = (String, String)> {
    let secret = "[A-Za-z0-9]{6}Zq9[A-Za-z0-9]{12}";
    (secret, 0_usize..12).prop_map(|(core, shape)| {
        let text = match shape {
            0 => format!("Bearer {core}"),
            1 => format!("password={core}"),
            2 => format!("AccountKey={core}==;x=1"),
            3 => format!("https://h.example/p?sv=1&sig={core}"),
            4 => format!("https://user:{core}@h.example/p"),
            5 => format!("{{\"client_secret\":\"{core}\"}}"),
            6 => format!("{{\\\"token\\\":\\\"{core}\\\"}}"),
            7 => format!("eyJhbGciOiJub25lIn0.{core}.{core}"),
            8 => format!("client_secret%3D{core}%26a%3D1"),
            9 => format!("-----BEGIN PRIVATE KEY-----\n{core}\n-----END PRIVATE KEY-----"),
            10 => format!("Cookie: sid={core}; a=b"),
            _ => format!("'apikey': '{core}'"),
        };
        (core, text)
    })
}

fn fragments() -> impl Strategy<Value = String> {
    let fragment = prop_oneof![
        "[ -~]{0,6}",
        "\\PC{0,4}",
        prop::sample::select(vec![
            "password",
            "token",
            "=",
            ":",
            "\"",
            "\\\"",
            "'",
            "&",
            "?",
            "a=",
            "://",
            "@",
            "Bearer ",
            "Basic ",
            "eyJ",
            "{",
            "}",
            "[",
            "]",
            ",",
            " ",
            "%3D",
            "%22",
            "%26",
            "[redacted]",
            "REDACTED",
            "AKIA",
            "sig",
            "code",
            "cookie",
            "\n",
            "\\n",
            "\\u003d",
            "abcDEF123456",
            "q83vEjRWeJASNFZ4kKvN7xI0VniQq83vEjRWeJCrze8S",
            "é",
            "sk-",
        ])
        .prop_map(str::to_owned),
    ];
    prop::collection::vec(fragment, 0..24).prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, rng_seed: proptest::test_runner::RngSeed::Fixed(7), ..ProptestConfig::with_cases(128) })]

    #[test]
    fn masking_never_panics_and_is_idempotent(text in fragments()) {
        let once = masked(&text);
        prop_assert_eq!(masked(&once), once);
    }

    #[test]
    fn planted_secrets_never_survive_text_or_preview((core, text) in planted(), before in "[ -~]{0,12} ", after in " [ -~]{0,12}") {
        let text = format!("{before}{text}{after}");
        prop_assert!(!masked(&text).contains(&core), "{}", masked(&text));
        prop_assert!(!preview(&text).contains(&core), "{}", preview(&text));
    }

    #[test]
    fn planted_secrets_never_survive_a_record((core, text) in planted(), place in 0_usize..12) {
        let quoted = serde_json::to_string(&text).expect("text");
        let nested = serde_json::to_string(&format!("{{\"a\":{quoted}}}")).expect("text");
        let (side, json) = match place {
            0 => (Side::Kong, format!("{{\"request\":{{\"headers\":{{\"x-note\":{quoted}}}}}}}")),
            1 => (Side::Kong, format!("{{\"request\":{{\"querystring\":{{\"a\":{quoted}}}}}}}")),
            2 => (Side::Kong, format!("{{\"request\":{{\"uri\":{quoted}}}}}")),
            3 => (Side::Kong, format!("{{\"denial\":{{\"message\":{quoted}}}}}")),
            4 => (Side::Kong, format!("{{\"custom\":[{nested}]}}")),
            5 => (Side::Kong, format!("{{{quoted}:1}}")),
            6 => (Side::Azure, format!("{{\"properties\":{{\"Input\":{{\"body\":{quoted}}}}}}}")),
            7 => (Side::Azure, format!("{{\"properties\":{{\"Error\":{{\"message\":{quoted}}}}}}}")),
            8 => (Side::Azure, format!("{{\"properties\":{nested}}}")),
            9 => (Side::Azure, format!("{{\"properties\":{{\"statement\":{}}}}}", serde_json::to_string(&format!("SELECT '{}'", text.replace('\'', "''"))).expect("text"))),
            10 => (Side::Azure, format!("{{\"properties\":{{\"Output\":{{\"x\":{quoted}}}}}}}")),
            _ => (Side::Kong, format!("{{\"message\": {quoted}")),
        };
        let (out, count) = redacted(side, &json);
        prop_assert!(!out.contains(&core), "{out}");
        prop_assert!(count > 0);
        prop_assert!(serde_json::from_str::<serde_json::Value>(&out).is_ok(), "{out}");
    }

    #[test]
    fn nothing_panics_on_arbitrary_text(text in fragments()) {
        for side in [Side::Kong, Side::Azure] {
            let (out, _) = redacted(side, &text);
            prop_assert!(serde_json::from_str::<serde_json::Value>(&out).is_ok(), "{out}");
        }
        let quoted = serde_json::to_string(&text).expect("text");
        let (out, _) = redacted(Side::Kong, &format!("{{\"a\":{quoted},{quoted}:[{quoted}]}}"));
        prop_assert!(serde_json::from_str::<serde_json::Value>(&out).is_ok(), "{out}");
        let normal = normalise_sql(&text);
        prop_assert_eq!(normalise_sql(&normal), normal);
        let _ = (sql_verb(&text), user_agent_family(&text), is_secret_name(&text), crate::canonical::canonical_json(&text));
        prop_assert!(!preview(&text).chars().any(char::is_control));
    }
}
