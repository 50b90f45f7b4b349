//! Config: one TOML file, every key with an environment twin, unknown keys refused, all problems at once.
//!
//! - In: the file named by `--config`, and the environment: `CORRIDOR_` and the key in capitals, with `_` for each dot.
//! - Out: a [`Config`] that can be used as it is, or all that is wrong with it.
//! - Invariants: the environment wins over the file. Secrets are named by files, never by keys.

mod environment;
mod live;

pub use environment::Environment;
pub use live::{ClaimConfig, JoinSettings, LogConfig, LogKind, Role, SourceConfig};

use crate::cli::Records;
use corridor_intake::http::HttpConfig;
use corridor_intake::kafka::KafkaConfig;
use corridor_refine::Settings;
use corridor_refine::redact::Pseudonymiser;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// Settings of a Corridor process. Lists are comma-separated in the environment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Headers that carry the correlation id, in order of preference.
    pub correlation_headers: Vec<String>,
    /// Host names of the gateway, beside those of the decK dump.
    pub gateway_hosts: Vec<String>,
    /// Longest accepted life of a token, in seconds.
    pub token_lifetime_seconds_max: u32,
    /// File with the key for pseudonyms of client IPs and user names; without it both are stored in clear.
    pub pseudonym_key_file: Option<PathBuf>,
    /// Name under which that key is known; stored in every row.
    pub pseudonym_key_id: Option<String>,
    /// Seconds between the landing of a generation in an object store and the moment from which views show it.
    pub activation_delay_seconds: u32,
    /// Where the evidence goes: a folder, az://container/prefix (ADLS), or s3://bucket/prefix.
    pub lake: String,
    /// Folder with principals.csv, workspaces.csv, kong.yaml, routes.csv (all optional).
    pub directory: Option<PathBuf>,
    /// Whether the redacted original records are kept beside the evidence rows.
    pub records: Records,
    /// What this worker does: `intake` receives and appends to the log, `join` makes rows of the log's shards.
    pub roles: Vec<Role>,
    /// Folder for records that wait for their join; default: the system's for temporary files.
    pub scratch: Option<PathBuf>,
    /// Name of this worker, stable over restarts (static membership); default: the host name.
    pub worker: Option<String>,
    /// The log between intake and join.
    pub log: LogConfig,
    /// The Kafka cluster of the log, and of sources that name none of their own.
    pub kafka: Option<KafkaConfig>,
    /// Topics of Kong entries.
    pub kong_source: Option<SourceConfig>,
    /// Topics of Azure diagnostic records.
    pub azure_source: Option<SourceConfig>,
    /// The HTTP receiver.
    pub http: HttpConfig,
    /// When rows are final.
    pub join: JoinSettings,
    /// When final rows become files.
    pub claim: ClaimConfig,
}

impl Default for Config {
    fn default() -> Self {
        let settings = Settings::default();
        Self {
            correlation_headers: settings.correlation_headers,
            gateway_hosts: settings.gateway_hosts,
            token_lifetime_seconds_max: u32::try_from(settings.token_lifetime_seconds_max)
                .unwrap_or(u32::MAX),
            pseudonym_key_file: None,
            pseudonym_key_id: None,
            activation_delay_seconds: 45 * 60,
            lake: "./lake".into(),
            directory: None,
            records: Records::On,
            roles: vec![Role::Intake, Role::Join],
            scratch: None,
            worker: None,
            log: LogConfig::default(),
            kafka: None,
            kong_source: None,
            azure_source: None,
            http: HttpConfig::default(),
            join: JoinSettings::default(),
            claim: ClaimConfig::default(),
        }
    }
}

/// Wrong usage or configuration: the program ends with code 2, and nothing was done.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct UsageError(pub String);

impl Config {
    /// Loads the file, if one is named, and the environment over it. Returns all problems together.
    pub fn load(path: Option<&Path>, environment: Environment<'_>) -> Result<Self, Vec<String>> {
        let mut problems = Vec::new();
        let mut table = path.map_or_else(toml::Table::new, |path| read_file(path, &mut problems));
        environment::overlay(&mut table, environment, &mut problems);
        let config = match Self::deserialize(toml::Value::Table(table)) {
            Ok(config) => config,
            Err(error) => {
                problems.push(format!("config: {}", error.to_string().trim_end()));
                Self::default()
            }
        };
        config.validate(&mut problems);
        if problems.is_empty() { Ok(config) } else { Err(problems) }
    }

    fn validate(&self, problems: &mut Vec<String>) {
        if self.correlation_headers.is_empty() {
            problems.push("correlation_headers is empty; name at least one header".into());
        }
        for header in
            self.correlation_headers.iter().filter(|header| header.contains(|c: char| !c.is_ascii_graphic()))
        {
            problems.push(format!("correlation_headers: {header:?} is not a header name"));
        }
        for host in self.gateway_hosts.iter().filter(|host| host.contains(['/', ':', ' '])) {
            problems.push(format!(
                "gateway_hosts: {host:?} is not a bare host name; leave out scheme, port and path"
            ));
        }
        if self.token_lifetime_seconds_max == 0 {
            problems
                .push("token_lifetime_seconds_max is 0; give the longest accepted life in seconds".into());
        }
        self.validate_live(problems);
        if self.pseudonym_key_file.is_some() != self.pseudonym_key_id.is_some() {
            problems.push("pseudonym_key_file and pseudonym_key_id go together; set both or neither".into());
        } else if let Err(problem) = self.pseudonymiser() {
            problems.push(problem);
        }
    }

    /// The rules for refining.
    pub fn settings(&self) -> Settings {
        let lower = |list: &[String]| list.iter().map(|item| item.to_ascii_lowercase()).collect();
        Settings {
            correlation_headers: lower(&self.correlation_headers),
            gateway_hosts: lower(&self.gateway_hosts),
            token_lifetime_seconds_max: self.token_lifetime_seconds_max.into(),
        }
    }

    /// The pseudonymiser, if a key is configured. The key is read from its file each time and never printed.
    pub fn pseudonymiser(&self) -> Result<Option<Pseudonymiser>, String> {
        let (Some(file), Some(id)) = (&self.pseudonym_key_file, &self.pseudonym_key_id) else {
            return Ok(None);
        };
        let key =
            std::fs::read(file).map_err(|error| format!("read pseudonym key {}: {error}", file.display()))?;
        Pseudonymiser::new(key.trim_ascii(), id).map(Some).ok_or_else(|| {
            format!(
                "pseudonym key {}: the key is too short; put at least 16 bytes of random text there",
                file.display()
            )
        })
    }
}

fn read_file(path: &Path, problems: &mut Vec<String>) -> toml::Table {
    let parsed = match std::fs::read_to_string(path) {
        Err(error) => Err(format!("read config {}: {error}", path.display())),
        Ok(text) => text.parse().map_err(|error: toml::de::Error| {
            format!("parse config {}: {}", path.display(), error.to_string().trim_end())
        }),
    };
    parsed.unwrap_or_else(|problem| {
        problems.push(problem);
        toml::Table::new()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str, environment: Environment<'_>) -> Result<Config, Vec<String>> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("corridor.toml");
        std::fs::write(&path, text).unwrap();
        Config::load(Some(&path), environment)
    }

    #[test]
    fn minimal_and_full_files_load_and_the_environment_wins() {
        assert_eq!(load("", &|_| None).unwrap(), Config::default());
        let full = "correlation_headers = ['X-Correlation-ID']\ngateway_hosts = ['api.contoso.example']\n\
                    token_lifetime_seconds_max = 3600\nactivation_delay_seconds = 0\n";
        let config =
            load(full, &|name| (name == "CORRIDOR_GATEWAY_HOSTS").then(|| "A.example, b.example".into()))
                .unwrap();
        assert_eq!(config.settings().correlation_headers, ["x-correlation-id"]);
        assert_eq!(config.settings().gateway_hosts, ["a.example", "b.example"]);
    }

    /// Every key that a configuration has, with dots between the tables.
    fn keys(table: &toml::Table, prefix: &str, found: &mut std::collections::BTreeSet<String>) {
        for (key, value) in table {
            match value {
                toml::Value::Table(inner) if key != "properties" => {
                    keys(inner, &format!("{prefix}{key}."), found);
                }
                _ => drop(found.insert(format!("{prefix}{key}"))),
            }
        }
    }

    /// Files that name every key, with each way to sign in.
    fn full() -> Vec<String> {
        let grants = [
            "{ method = 'workload_identity', tenant = 't', client_id = 'c', federated_token_file = 'f', authority_host = 'h' }",
            "{ method = 'managed_identity', client_id = 'c', endpoint = 'e' }",
            "{ method = 'client_credentials', token_url = 'u', client_id = 'c', client_secret_file = 's' }",
        ];
        let sasl =
            grants.map(|token| format!("{{ mechanism = 'OAUTHBEARER', token = {token}, scope = 's' }}"));
        let plain = "{ mechanism = 'PLAIN', user = 'u', password_file = 'p' }".to_owned();
        let connection = |sasl: &str| {
            format!(
                "{{ bootstrap = 'b:9092', security = 'sasl_ssl', ca_file = 'a', certificate_file = 'c', \
                 key_file = 'k', profile = 'kafka', properties = {{ a = 'b' }}, sasl = {sasl} }}"
            )
        };
        let file = |sasl: &String| {
            let kafka = connection(sasl);
            let source = format!("{{ topics = ['t'], group = 'g', kafka = {kafka} }}");
            format!(
                "kafka = {kafka}\nkong_source = {source}\nazure_source = {source}\npseudonym_key_file = 'k'\n\
                 pseudonym_key_id = 'i'\ndirectory = 'd'\nscratch = 's'\nworker = 'w'\n[http]\ntoken_file = 't'\n\
                 [http.tls]\ncertificate = 'c'\nkey = 'k'\nclient_ca = 'a'\n"
            )
        };
        sasl.iter().chain([&plain]).map(file).collect()
    }

    #[test]
    fn every_key_has_a_variable() {
        let mut found = std::collections::BTreeSet::new();
        for text in full() {
            let config: Config = toml::from_str(&text).unwrap();
            keys(&toml::Table::try_from(config).unwrap(), "", &mut found);
        }
        assert_eq!(found, environment::keys().map(|(key, _)| key).collect());
    }

    #[test]
    fn a_variable_reaches_a_key_inside_a_table() {
        let config = load("[join]\nwait_seconds = 5\n", &|name| match name {
            "CORRIDOR_JOIN_WAIT_SECONDS" => Some("7".into()),
            "CORRIDOR_LOG_TOPIC" => Some("audit".into()),
            _ => None,
        });
        let config = config.unwrap();
        assert_eq!((config.join.wait_seconds, config.log.topic.as_str()), (7, "audit"));
    }

    #[test]
    fn typo_in_a_key_is_refused() {
        let problems = load("correlation_header = ['x']\n", &|_| None).unwrap_err();
        assert!(problems[0].contains("correlation_header"), "{problems:?}");
    }

    #[test]
    fn all_problems_are_told_at_once() {
        let text = "correlation_headers = []\ngateway_hosts = ['https://a/']\npseudonym_key_id = 'k1'\ntoken_lifetime_seconds_max = 0\n";
        let problems =
            load(text, &|name| (name == "CORRIDOR_ACTIVATION_DELAY_SECONDS").then(|| "soon".into()))
                .unwrap_err();
        assert_eq!(problems.len(), 5, "{problems:?}");
    }
}
