//! Config: one TOML file, every key with an environment twin, unknown keys refused, all problems at once.

use corridor_refine::Settings;
use corridor_refine::redact::Pseudonymiser;
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// Settings of a Corridor process. `CORRIDOR_<KEY>` in the environment wins over the file; lists are comma-separated.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
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
        }
    }
}

/// Wrong usage or configuration: the program ends with code 2, and nothing was done.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct UsageError(pub String);

/// Reads an environment variable; an argument so that tests need not change the process.
pub type Environment<'e> = &'e dyn Fn(&str) -> Option<String>;

impl Config {
    /// Loads the file, if one is named, and the environment over it. Returns all problems together.
    pub fn load(path: Option<&Path>, environment: Environment<'_>) -> Result<Self, Vec<String>> {
        let mut problems = Vec::new();
        let mut config = Self::default();
        if let Some(path) = path {
            match std::fs::read_to_string(path) {
                Err(error) => problems.push(format!("read config {}: {error}", path.display())),
                Ok(text) => match toml::from_str(&text) {
                    Ok(loaded) => config = loaded,
                    Err(error) => problems.push(format!(
                        "parse config {}: {}",
                        path.display(),
                        error.to_string().trim_end()
                    )),
                },
            }
        }
        config.overlay(environment, &mut problems);
        config.validate(&mut problems);
        if problems.is_empty() { Ok(config) } else { Err(problems) }
    }

    fn overlay(&mut self, environment: Environment<'_>, problems: &mut Vec<String>) {
        let list = |value: String| {
            value.split(',').map(|item| item.trim().to_owned()).filter(|item| !item.is_empty()).collect()
        };
        if let Some(value) = environment("CORRIDOR_CORRELATION_HEADERS") {
            self.correlation_headers = list(value);
        }
        if let Some(value) = environment("CORRIDOR_GATEWAY_HOSTS") {
            self.gateway_hosts = list(value);
        }
        for (name, target) in [
            ("CORRIDOR_TOKEN_LIFETIME_SECONDS_MAX", &mut self.token_lifetime_seconds_max),
            ("CORRIDOR_ACTIVATION_DELAY_SECONDS", &mut self.activation_delay_seconds),
        ] {
            if let Some(value) = environment(name) {
                match value.trim().parse() {
                    Ok(seconds) => *target = seconds,
                    Err(_) => problems.push(format!("{name}: {value:?} is not a number of seconds")),
                }
            }
        }
        if let Some(value) = environment("CORRIDOR_PSEUDONYM_KEY_FILE") {
            self.pseudonym_key_file = Some(value.into());
        }
        if let Some(value) = environment("CORRIDOR_PSEUDONYM_KEY_ID") {
            self.pseudonym_key_id = Some(value);
        }
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
