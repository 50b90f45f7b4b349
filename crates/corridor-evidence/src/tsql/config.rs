//! Where the lake is and who may ask: the input of the T-SQL, and the rules of Azure it must follow.
//!
//! - In: texts from the command line or a configuration file.
//! - Out: nothing but the verdict of [`TsqlConfig::validate`].
//! - Keeps: nothing.
//! - Invariants: a configuration that passed holds nothing that could end a literal or an identifier early.

use std::fmt;

/// Where the lake is and who may ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TsqlConfig {
    /// Storage account name.
    pub account: String,
    /// Container (file system) of the lake.
    pub container: String,
    /// Folder of the lake within the container, without slashes at its ends; empty for the container itself.
    pub prefix: String,
    /// Database to create. It holds only views.
    pub database: String,
    /// Entra group of the auditors; becomes a login and a user.
    pub auditor_group: String,
    /// Host suffix of the storage endpoint; differs in sovereign clouds.
    pub endpoint_suffix: String,
}

impl TsqlConfig {
    /// The usual names around an account and a container.
    pub fn new(account: impl Into<String>, container: impl Into<String>) -> Self {
        Self {
            account: account.into(),
            container: container.into(),
            prefix: String::new(),
            database: "corridor_audit".into(),
            auditor_group: "grp-soc2-auditors".into(),
            endpoint_suffix: "dfs.core.windows.net".into(),
        }
    }

    /// Checks every field against the rules of Azure and of the generated text.
    pub fn validate(&self) -> Result<(), ConfigProblems> {
        let checks = [
            ("account", &self.account, account_problem(&self.account)),
            ("container", &self.container, container_problem(&self.container)),
            ("prefix", &self.prefix, prefix_problem(&self.prefix)),
            ("database", &self.database, database_problem(&self.database)),
            ("auditor group", &self.auditor_group, group_problem(&self.auditor_group)),
            ("endpoint suffix", &self.endpoint_suffix, suffix_problem(&self.endpoint_suffix)),
        ];
        let problems: Vec<String> = checks
            .into_iter()
            .filter_map(|(field, value, problem)| problem.map(|rule| format!("{field} {value:?}: {rule}")))
            .collect();
        if problems.is_empty() { Ok(()) } else { Err(ConfigProblems { problems }) }
    }

    /// Address of the lake for the external data source, without a slash at its end.
    pub(crate) fn location(&self) -> String {
        let root = format!("https://{}.{}/{}", self.account, self.endpoint_suffix, self.container);
        if self.prefix.is_empty() { root } else { format!("{root}/{}", self.prefix) }
    }
}

/// Everything that is wrong with a [`TsqlConfig`], one line each.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct ConfigProblems {
    /// The problems, in the order of the fields.
    pub problems: Vec<String>,
}

impl fmt::Display for ConfigProblems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.problems.join("\n"))
    }
}

fn is_lower_alphanumeric(c: char) -> bool {
    c.is_ascii_lowercase() || c.is_ascii_digit()
}

fn account_problem(name: &str) -> Option<&'static str> {
    let is_good = (3..=24).contains(&name.len()) && name.chars().all(is_lower_alphanumeric);
    (!is_good).then_some("a storage account name has 3 to 24 lower-case letters and digits")
}

fn container_problem(name: &str) -> Option<&'static str> {
    let is_good = (3..=63).contains(&name.len())
        && name.chars().all(|c| is_lower_alphanumeric(c) || c == '-')
        && name.starts_with(is_lower_alphanumeric)
        && name.ends_with(is_lower_alphanumeric)
        && !name.contains("--");
    (!is_good).then_some(
        "a container name has 3 to 63 lower-case letters, digits and single hyphens, and no hyphen at its ends",
    )
}

fn prefix_problem(prefix: &str) -> Option<&'static str> {
    let is_step = |step: &str| {
        !matches!(step, "" | "." | "..")
            && step.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '='))
    };
    let is_good = prefix.is_empty() || (prefix.len() <= 512 && prefix.split('/').all(is_step));
    (!is_good).then_some("a folder is given as steps of letters, digits and - _ . = joined by single slashes")
}

fn database_problem(name: &str) -> Option<&'static str> {
    let is_good = (1..=100).contains(&name.len())
        && name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if !is_good {
        return Some("a database name starts with a letter and has at most 100 letters, digits and _");
    }
    let is_taken =
        ["master", "model", "msdb", "tempdb", "default"].contains(&name.to_ascii_lowercase().as_str());
    is_taken.then_some("this name belongs to the server")
}

fn group_problem(name: &str) -> Option<&'static str> {
    let is_good = (1..=128).contains(&name.chars().count())
        && name.trim() == name
        && !name.chars().any(char::is_control);
    (!is_good)
        .then_some("a group name has 1 to 128 characters, no control characters and no spaces at its ends")
}

fn suffix_problem(suffix: &str) -> Option<&'static str> {
    let is_label =
        |label: &str| !label.is_empty() && label.chars().all(|c| is_lower_alphanumeric(c) || c == '-');
    let is_good = suffix.len() <= 128 && suffix.starts_with("dfs.") && suffix.split('.').all(is_label);
    (!is_good).then_some("the endpoint suffix is a host name that starts with \"dfs.\"")
}
