//! The data dictionary: every column of the lake, for a person.
//!
//! - In: the column lists of `schemas/evidence.toml`.
//! - Out: Markdown, kept at `docs/data-dictionary.md`.
//! - Keeps: nothing.
//! - Invariants: the same contract gives the same text.

use crate::queries::CATALOGUE;
use corridor_lake::columns::{self, ColumnSpec, ColumnType, Privacy};

const HEAD: &str = "\
# Data dictionary

Generated from `schemas/evidence.toml` by `cargo xtask schemas`; do not edit.

Times are UTC. The views add `date` and `hour`, the folder of the row, as text. A text that is longer than its limit is
cut and ends with `…`. A column that is not required is empty where the record does not tell. Privacy: *public* may be
shown to whoever may see evidence, *internal* describes the operator's systems, *personal* leads to a person,
*pseudonymisable* names a person and is replaced by a keyed pseudonym when a key is configured.
";

/// The whole dictionary.
pub fn render() -> String {
    let mut text = format!("{HEAD}\nSchema version {}.\n", columns::schema_version());
    text.push_str("\n## audit.events: the evidence\n\nOne row for each event of either side.\n");
    let evidence = columns::evidence_columns();
    for group in evidence.chunk_by(|left, right| left.group == right.group) {
        text.push_str(&format!("\n### {}\n\n", group[0].group));
        text.push_str(&table(group));
    }
    text.push_str("\n## audit.records: the redacted originals\n\n");
    text.push_str(&table(columns::records_columns()));
    text.push_str("\n## audit.rejects: what could not become an event\n\n");
    text.push_str(&table(columns::rejects_columns()));
    text.push_str(&query_list());
    text
}

fn table(columns: &[ColumnSpec]) -> String {
    let mut text = String::from("| column | type | required | privacy | since | meaning | source |\n");
    text.push_str("|---|---|---|---|---|---|---|\n");
    for column in columns {
        text.push_str(&format!(
            "| `{}` | {} | {} | {} | {} | {} | {} |\n",
            column.name,
            type_words(column),
            if column.required { "yes" } else { "no" },
            privacy_word(column.privacy),
            column.since,
            cell(&meaning_with_values(column)),
            cell(&column.source),
        ));
    }
    text
}

fn meaning_with_values(column: &ColumnSpec) -> String {
    if column.values.is_empty() {
        return column.meaning.clone();
    }
    let values: Vec<String> = column.values.iter().map(|value| format!("`{value}`")).collect();
    format!("{} Values: {}.", column.meaning, values.join(", "))
}

/// Text for one cell of a Markdown table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}

fn type_words(column: &ColumnSpec) -> String {
    match (column.column_type, column.max_length) {
        (ColumnType::Text, Some(bytes)) => format!("text, {bytes} bytes"),
        (ColumnType::Text, None) => "text, any length".into(),
        (ColumnType::Bool, _) => "true or false".into(),
        (ColumnType::Int, _) => "integer, 32 bits".into(),
        (ColumnType::Long, _) => "integer, 64 bits".into(),
        (ColumnType::Time, _) => "time, microseconds".into(),
    }
}

fn privacy_word(privacy: Privacy) -> &'static str {
    match privacy {
        Privacy::Public => "public",
        Privacy::Internal => "internal",
        Privacy::Personal => "personal",
        Privacy::Pseudonymisable => "pseudonymisable",
    }
}

fn query_list() -> String {
    let mut text =
        String::from("\n## Evidence queries\n\nThe SQL: `deploy/synapse/04-evidence-queries.sql`.\n");
    for query in CATALOGUE {
        text.push_str(&format!(
            "\n### {} {}\n\n- Criteria: {}\n- Question: {}\n- Reading: {}\n- Exception: {}\n- Cannot show: {}\n",
            query.id,
            query.title,
            query.criteria.join(", "),
            query.question,
            query.reading,
            query.exception,
            query.cannot_show,
        ));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dictionary_names_every_column_and_query_once() {
        let text = render();
        for column in columns::evidence_columns() {
            assert!(text.contains(&format!("| `{}` | ", column.name)), "{}", column.name);
        }
        for query in CATALOGUE {
            assert_eq!(text.matches(&format!("### {} ", query.id)).count(), 1);
        }
        assert!(
            text.lines()
                .all(|line| !line.starts_with('|') || line.replace("\\|", "").matches('|').count() == 8)
        );
    }
}
