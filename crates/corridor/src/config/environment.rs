//! Environment: every key of the configuration has a variable of its own.
//!
//! - In: the table of the file, and the variables.
//! - Out: the table with the variables' values in place of its own.
//! - Invariants: a variable that is set and cannot be read is a problem, never ignored.

use toml::{Table, Value};

/// Reads an environment variable; an argument so that tests need not change the process.
pub type Environment<'e> = &'e dyn Fn(&str) -> Option<String>;

/// What a variable's text means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Number,
    /// Comma-separated.
    List,
    /// Comma-separated pairs `name=value`.
    Pairs,
}

/// Every key outside [`CONNECTIONS`], with dots between the tables.
pub(super) const KEYS: &[(&str, Kind)] = &[
    ("correlation_headers", Kind::List),
    ("gateway_hosts", Kind::List),
    ("token_lifetime_seconds_max", Kind::Number),
    ("pseudonym_key_file", Kind::Text),
    ("pseudonym_key_id", Kind::Text),
    ("activation_delay_seconds", Kind::Number),
    ("lake", Kind::Text),
    ("directory", Kind::Text),
    ("records", Kind::Text),
    ("roles", Kind::List),
    ("scratch", Kind::Text),
    ("worker", Kind::Text),
    ("log.kind", Kind::Text),
    ("log.folder", Kind::Text),
    ("log.shards", Kind::Number),
    ("log.bytes_max", Kind::Number),
    ("log.topic", Kind::Text),
    ("log.group", Kind::Text),
    ("log.replication", Kind::Number),
    ("join.wait_seconds", Kind::Number),
    ("join.horizon_seconds", Kind::Number),
    ("join.memory_bytes_max", Kind::Number),
    ("claim.visible_seconds", Kind::Number),
    ("claim.memory_bytes_max", Kind::Number),
    ("claim.file_bytes_max", Kind::Number),
    ("claim.idle_seconds", Kind::Number),
    ("http.listen", Kind::Text),
    ("http.body_bytes_max", Kind::Number),
    ("http.inflated_bytes_max", Kind::Number),
    ("http.in_flight_bytes_max", Kind::Number),
    ("http.token_file", Kind::Text),
    ("http.tls.certificate", Kind::Text),
    ("http.tls.key", Kind::Text),
    ("http.tls.client_ca", Kind::Text),
    ("http.header_timeout_seconds", Kind::Number),
    ("http.body_timeout_seconds", Kind::Number),
    ("http.connections_max", Kind::Number),
    ("http.shutdown_seconds", Kind::Number),
    ("kong_source.topics", Kind::List),
    ("kong_source.group", Kind::Text),
    ("azure_source.topics", Kind::List),
    ("azure_source.group", Kind::Text),
];

/// Tables that say how to reach a Kafka cluster.
pub(super) const CONNECTIONS: &[&str] = &["kafka", "kong_source.kafka", "azure_source.kafka"];

/// Keys of each of them.
pub(super) const CONNECTION_KEYS: &[(&str, Kind)] = &[
    ("bootstrap", Kind::Text),
    ("security", Kind::Text),
    ("ca_file", Kind::Text),
    ("certificate_file", Kind::Text),
    ("key_file", Kind::Text),
    ("profile", Kind::Text),
    ("properties", Kind::Pairs),
    ("sasl.mechanism", Kind::Text),
    ("sasl.user", Kind::Text),
    ("sasl.password_file", Kind::Text),
    ("sasl.scope", Kind::Text),
    ("sasl.token.method", Kind::Text),
    ("sasl.token.tenant", Kind::Text),
    ("sasl.token.client_id", Kind::Text),
    ("sasl.token.federated_token_file", Kind::Text),
    ("sasl.token.authority_host", Kind::Text),
    ("sasl.token.endpoint", Kind::Text),
    ("sasl.token.token_url", Kind::Text),
    ("sasl.token.client_secret_file", Kind::Text),
];

/// All keys with their kinds.
pub(super) fn keys() -> impl Iterator<Item = (String, Kind)> {
    let connections = CONNECTIONS
        .iter()
        .flat_map(|table| CONNECTION_KEYS.iter().map(move |(key, kind)| (format!("{table}.{key}"), *kind)));
    KEYS.iter().map(|(key, kind)| ((*key).to_owned(), *kind)).chain(connections)
}

/// The variable of a key.
pub(super) fn variable(key: &str) -> String {
    format!("CORRIDOR_{}", key.replace('.', "_").to_ascii_uppercase())
}

/// Puts the variables that are set into the table.
pub(super) fn overlay(table: &mut Table, environment: Environment<'_>, problems: &mut Vec<String>) {
    for (key, kind) in keys() {
        let name = variable(&key);
        let Some(text) = environment(&name) else { continue };
        match value(kind, &text) {
            Some(value) => put(table, &key, value),
            None => problems.push(format!("{name}: {text:?} is not {}", expected(kind))),
        }
    }
}

fn value(kind: Kind, text: &str) -> Option<Value> {
    Some(match kind {
        Kind::Text => Value::String(text.into()),
        Kind::Number => Value::Integer(text.trim().parse().ok()?),
        Kind::List => {
            let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
            Value::Array(items.map(|item| Value::String(item.into())).collect())
        }
        Kind::Pairs => {
            let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
            let pair = |item: &str| {
                let (name, value) = item.split_once('=')?;
                Some((name.trim().to_owned(), Value::String(value.trim().into())))
            };
            Value::Table(items.map(pair).collect::<Option<Table>>()?)
        }
    })
}

fn expected(kind: Kind) -> &'static str {
    match kind {
        Kind::Text => "a text",
        Kind::Number => "a whole number",
        Kind::List => "a list",
        Kind::Pairs => "a list of name=value",
    }
}

/// Sets a key, making the tables in front of it. What stands in the way of a table is left for the type check.
fn put(table: &mut Table, key: &str, value: Value) {
    match key.split_once('.') {
        None => drop(table.insert(key.into(), value)),
        Some((first, rest)) => {
            let inner = table.entry(first).or_insert_with(|| Value::Table(Table::new()));
            if let Value::Table(inner) = inner {
                put(inner, rest, value);
            }
        }
    }
}
