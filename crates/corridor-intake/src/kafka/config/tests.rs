//! Which settings are refused, and what the profile sets.

use super::*;

fn parse(text: &str) -> Result<KafkaConfig, serde_json::Error> {
    serde_json::from_str(text)
}

fn problems(text: &str) -> String {
    parse(text).unwrap().problems().join("\n")
}

#[test]
fn full_and_minimal_settings_are_taken_and_a_typo_is_not() {
    let full = r#"{"bootstrap": "a:9093,b:9093", "security": "sasl_ssl", "ca_file": "/ca.pem", "profile": "kafka",
        "sasl": {"mechanism": "SCRAM-SHA-512", "user": "u", "password_file": "/p"}, "properties": {"linger.ms": "20"}}"#;
    assert_eq!(problems(full), "");
    assert_eq!(problems(r#"{"bootstrap": "a:9092"}"#), "");
    for typo in [
        r#"{"bootstrap": "a:9092", "securty": "ssl"}"#,
        r#"{"bootstrap": "a", "sasl": {"mechanism": "PLAIN", "user": "u", "password": "p", "password_file": "f"}}"#,
        r#"{"bootstrap": "a", "sasl": {"mechanism": "OAUTHBEARER", "token": {"method": "workload_identity", "tenent": "x"}}}"#,
    ] {
        assert!(parse(typo).is_err(), "{typo}");
    }
}

#[test]
fn property_that_carries_a_guarantee_is_refused() {
    for (name, _) in OURS {
        let text = format!(r#"{{"bootstrap": "a:9092", "properties": {{"{name}": "x"}}}}"#);
        assert!(problems(&text).contains(&format!("property {name} cannot be set")), "{name}");
    }
    let text = r#"{"bootstrap": "a:9092", "properties": {"sasl.password": "hunter2"}}"#;
    assert!(problems(text).contains("sasl.password") && !problems(text).contains("hunter2"));
}

#[test]
fn parts_that_do_not_fit_together_are_all_told_at_once() {
    let text = r#"{"bootstrap": " ", "security": "sasl_ssl", "certificate_file": "/c",
        "properties": {"heartbeat.interval.ms": "9000", "max.poll.interval.ms": "5000"}}"#;
    let said = problems(text);
    for part in [
        "`bootstrap` is empty",
        "table `sasl` is missing",
        "belong together",
        "a third of",
        "max.poll.interval.ms 5000",
    ] {
        assert!(said.contains(part), "{part} in {said}");
    }
    let text = r#"{"bootstrap": "a:1", "sasl": {"mechanism": "PLAIN", "user": "u", "password_file": "f"}}"#;
    assert!(problems(text).contains("no effect"));
}

#[test]
fn event_hubs_profile_sets_what_the_service_needs_and_refuses_what_it_cannot_take() {
    let base = r#""bootstrap": "ns.servicebus.windows.net:9093", "security": "sasl_ssl", "profile": "event_hubs",
        "sasl": {"mechanism": "PLAIN", "user": "$ConnectionString", "password_file": "/p"}"#;
    let config = parse(&format!("{{{base}}}")).unwrap();
    assert_eq!(config.problems(), [""; 0]);
    let wanted = [
        ("socket.keepalive.enable", "true"),
        ("metadata.max.age.ms", "180000"),
        ("connections.max.idle.ms", "180000"),
        ("session.timeout.ms", "30000"),
        ("heartbeat.interval.ms", "3000"),
        ("max.poll.interval.ms", "300000"),
        ("request.timeout.ms", "60000"),
        ("socket.timeout.ms", "60000"),
    ];
    for (name, value) in wanted {
        assert_eq!(config.effective(name), Some(value), "{name}");
    }
    assert_eq!(config.token_scope(None), "https://ns.servicebus.windows.net/.default");
    for (property, part) in [
        (r#""metadata.max.age.ms": "240000""#, "must be below 240000"),
        (r#""connections.max.idle.ms": "0""#, "must be below 240000"),
        (r#""session.timeout.ms": "5000", "heartbeat.interval.ms": "1000""#, "must be 6000 to 300000"),
        (r#""heartbeat.interval.ms": "20000""#, "a third of session.timeout.ms 30000"),
    ] {
        let said = problems(&format!(r#"{{{base}, "properties": {{{property}}}}}"#));
        assert!(said.contains(part), "{part} in {said}");
    }
}

#[test]
fn workload_identity_takes_what_is_absent_from_the_environment() {
    let text = r#"{"bootstrap": "ns.servicebus.windows.net:9093", "security": "sasl_ssl", "profile": "event_hubs",
        "sasl": {"mechanism": "OAUTHBEARER", "token": {"method": "workload_identity", "tenant": "own"}}}"#;
    let mut config = parse(text).unwrap();
    assert_eq!(config.problems().len(), 2, "client id and token file are missing");
    config.fill_from_environment(|name| Some(format!("env-{name}")));
    assert_eq!(config.problems(), [""; 0]);
    let Some(Sasl::OauthBearer { token: TokenGrant::WorkloadIdentity { tenant, client_id, .. }, .. }) =
        config.sasl
    else {
        panic!("it is workload identity")
    };
    assert_eq!((tenant.as_deref(), client_id.as_deref()), (Some("own"), Some("env-AZURE_CLIENT_ID")));
}
