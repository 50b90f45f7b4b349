//! Columns: the contract of `schemas/evidence.toml`, parsed once.
//!
//! - In: the TOML file, compiled in.
//! - Out: one [`ColumnSpec`] per column of the three tables, in the order of the files.
//! - Invariants: the file is checked by a test, so that reading it here cannot fail.

use serde::Deserialize;
use std::sync::OnceLock;

const EVIDENCE_TOML: &str = include_str!("../../../schemas/evidence.toml");

/// Type of a column. Everything that Synapse serverless reads without surprises, and nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ColumnType {
    /// UTF-8 text.
    Text,
    /// True or false.
    Bool,
    /// 32-bit signed integer.
    Int,
    /// 64-bit signed integer.
    Long,
    /// Moment in UTC, in microseconds.
    Time,
}

/// How a column is to be treated for privacy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Privacy {
    /// May be shown to anybody who may see the evidence.
    Public,
    /// Describes the operator's systems.
    Internal,
    /// Names a person indirectly.
    Personal,
    /// Names a person; replaced by a pseudonym when a key is configured.
    Pseudonymisable,
}

/// One column.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ColumnSpec {
    /// Name in Parquet and SQL.
    pub name: String,
    /// Type.
    #[serde(rename = "type")]
    pub column_type: ColumnType,
    /// Whether it is never null.
    pub required: bool,
    /// For text: bytes of UTF-8 at most. None is without limit.
    pub max_length: Option<usize>,
    /// Heading in the dictionary.
    pub group: String,
    /// Treatment for privacy.
    pub privacy: Privacy,
    /// Schema version that introduced it.
    pub since: i32,
    /// What it says, for an auditor.
    pub meaning: String,
    /// Which fields of either side it comes from.
    pub source: String,
    /// Closed vocabulary, if it has one.
    #[serde(default)]
    pub values: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Contract {
    schema_version: i32,
    column: Vec<ColumnSpec>,
    records: Table,
    rejects: Table,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    column: Vec<ColumnSpec>,
}

fn contract() -> &'static Contract {
    static CONTRACT: OnceLock<Contract> = OnceLock::new();
    CONTRACT.get_or_init(|| toml::from_str(EVIDENCE_TOML).expect("a test reads the compiled-in contract"))
}

/// Version of the column list, stored in every row and file.
pub fn schema_version() -> i32 {
    contract().schema_version
}

/// Columns of the evidence (`events/`).
pub fn evidence_columns() -> &'static [ColumnSpec] {
    &contract().column
}

/// Columns of the redacted originals (`records/`).
pub fn records_columns() -> &'static [ColumnSpec] {
    &contract().records.column
}

/// Columns of the rejected records (`rejects/`).
pub fn rejects_columns() -> &'static [ColumnSpec] {
    &contract().rejects.column
}

#[cfg(test)]
mod tests {
    use super::*;
    use corridor_model::{
        CorrelationOrigin, Decision, DeniedBy, Finding, JoinConfidence, JoinMethod, JoinState, ReasonBasis,
        ReasonCode, RejectCode, Side, Source,
    };
    use std::collections::HashSet;

    fn values_of(columns: &'static [ColumnSpec], name: &str) -> Vec<&'static str> {
        let column = columns.iter().find(|column| column.name == name).expect(name);
        column.values.iter().map(String::as_str).collect()
    }

    #[test]
    fn every_column_is_documented_and_named_once() {
        for columns in [evidence_columns(), records_columns(), rejects_columns()] {
            let names: HashSet<_> = columns.iter().map(|column| &column.name).collect();
            assert_eq!(names.len(), columns.len());
            for column in columns {
                assert!(column.meaning.len() >= 10 && !column.source.is_empty(), "{}", column.name);
                assert!(
                    column.name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
                );
                assert!(column.max_length.is_none_or(|length| length <= 8000), "{}", column.name);
                assert!((1..=schema_version()).contains(&column.since), "{}", column.name);
                let is_limited = column.column_type == ColumnType::Text && column.name != "record";
                assert_eq!(column.max_length.is_some(), is_limited, "{}", column.name);
                let longest = column.values.iter().map(String::len).max().unwrap_or(0);
                assert!(longest <= column.max_length.unwrap_or(0), "{}", column.name);
            }
        }
    }

    #[test]
    fn closed_vocabularies_are_those_of_the_model() {
        macro_rules! texts {
            ($codes:ident) => {
                $codes::ALL.iter().map(|code| code.as_str()).collect::<Vec<_>>()
            };
        }
        let evidence = [
            ("source", texts!(Source)),
            ("correlation_origin", texts!(CorrelationOrigin)),
            ("decision", texts!(Decision)),
            ("reason_code", texts!(ReasonCode)),
            ("reason_basis", texts!(ReasonBasis)),
            ("denied_by", texts!(DeniedBy)),
            ("join_state", texts!(JoinState)),
            ("join_method", texts!(JoinMethod)),
            ("join_confidence", texts!(JoinConfidence)),
            ("findings", texts!(Finding)),
        ];
        for (column, codes) in evidence {
            assert_eq!(values_of(evidence_columns(), column), codes, "{column}");
        }
        assert_eq!(values_of(rejects_columns(), "code"), texts!(RejectCode));
        assert_eq!(values_of(rejects_columns(), "side"), texts!(Side));
    }

    #[test]
    fn groups_stand_together_in_reading_order() {
        let mut groups: Vec<_> = evidence_columns().iter().map(|column| column.group.as_str()).collect();
        groups.dedup();
        let order =
            ["event", "correlation", "identity", "request", "synapse", "ai", "decision", "join", "findings"];
        assert_eq!(groups[..9], order);
        assert_eq!(groups[9..], ["provenance"]);
    }
}
