//! The T-SQL that makes a lake queryable from a Synapse serverless SQL pool.
//!
//! - In: [`TsqlConfig`], checked as a whole: all problems are reported at once.
//! - Out: parts in the order in which they run: database, objects, views, security, evidence queries.
//! - Keeps: nothing.
//! - Invariants: every part can be run again; no secret is in the text; every name that a person chose is
//!   quoted and escaped; one batch (between two `GO`) holds at most one `OPENROWSET` view.

mod config;
mod objects;
mod security;
mod views;

pub use config::{ConfigProblems, TsqlConfig};

use crate::queries;

/// One script of the set. Run them in the order in which [`render_parts`] gives them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SqlPart {
    /// File name under which it is kept, such as `02-views.sql`.
    pub file_name: &'static str,
    /// The script: batches that end with `GO`.
    pub sql: String,
}

/// The scripts, separately.
pub fn render_parts(config: &TsqlConfig) -> Result<Vec<SqlPart>, ConfigProblems> {
    config.validate()?;
    Ok(vec![
        SqlPart { file_name: "00-database.sql", sql: objects::database(config) },
        SqlPart { file_name: "01-objects.sql", sql: objects::objects(config) },
        SqlPart { file_name: "02-views.sql", sql: views::views(config) },
        SqlPart { file_name: "03-security.sql", sql: security::security(config) },
        SqlPart { file_name: "04-evidence-queries.sql", sql: queries::render_script(&config.database) },
    ])
}

/// All scripts as one, as `corridor sql` prints them.
pub fn render(config: &TsqlConfig) -> Result<String, ConfigProblems> {
    let mut sql = String::new();
    for part in render_parts(config)? {
        sql.push_str(&part.sql);
    }
    Ok(sql)
}

/// An identifier in brackets.
pub(crate) fn quoted_name(name: &str) -> String {
    format!("[{}]", name.replace(']', "]]"))
}

/// A Unicode text literal.
pub(crate) fn text_literal(text: &str) -> String {
    format!("N'{}'", text.replace('\'', "''"))
}

#[cfg(test)]
mod tests;
