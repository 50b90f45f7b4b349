//! Schemas: the Arrow form of the column lists.
//!
//! - In: [`crate::columns`].
//! - Out: one schema per table.
//! - Invariants: only types that Synapse serverless reads as meant: no unsigned, no nested, no zone-less or
//!   nanosecond time. A required column cannot be null.

use crate::columns::{ColumnSpec, ColumnType, evidence_columns, records_columns, rejects_columns};
use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};
use corridor_chain::Table;
use std::sync::{Arc, OnceLock};

/// Schema of evidence rows.
pub fn evidence_schema() -> SchemaRef {
    static SCHEMA: OnceLock<SchemaRef> = OnceLock::new();
    SCHEMA.get_or_init(|| schema_of(evidence_columns().iter())).clone()
}

/// Schema of the redacted originals.
pub fn records_schema() -> SchemaRef {
    static SCHEMA: OnceLock<SchemaRef> = OnceLock::new();
    SCHEMA.get_or_init(|| schema_of(records_columns().iter())).clone()
}

/// Schema of the rejected records.
pub fn rejects_schema() -> SchemaRef {
    static SCHEMA: OnceLock<SchemaRef> = OnceLock::new();
    SCHEMA.get_or_init(|| schema_of(rejects_columns().iter())).clone()
}

/// Schema of a table's files.
pub fn table_schema(table: Table) -> SchemaRef {
    match table {
        Table::Events => evidence_schema(),
        Table::Records => records_schema(),
        Table::Rejects => rejects_schema(),
    }
}

/// The Arrow type of a column type.
pub fn arrow_type(column_type: ColumnType) -> DataType {
    match column_type {
        ColumnType::Text => DataType::Utf8,
        ColumnType::Bool => DataType::Boolean,
        ColumnType::Int => DataType::Int32,
        ColumnType::Long => DataType::Int64,
        ColumnType::Time => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
    }
}

fn schema_of<'a>(columns: impl Iterator<Item = &'a ColumnSpec>) -> SchemaRef {
    let fields: Vec<Field> = columns
        .map(|column| Field::new(&column.name, arrow_type(column.column_type), !column.required))
        .collect();
    Arc::new(Schema::new(fields))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    /// Groups that only the join can fill.
    const JOINED_GROUPS: [&str; 3] = ["decision", "join", "findings"];
    /// Columns that are set when a row becomes final, whatever the event says.
    const FINAL_COLUMNS: [&str; 4] = ["schema_version", "is_late", "shard", "log_offset"];

    /// Whether an event fills the column itself, before the join.
    fn is_event_column(column: &ColumnSpec) -> bool {
        !JOINED_GROUPS.contains(&column.group.as_str()) && !FINAL_COLUMNS.contains(&column.name.as_str())
    }

    /// Required columns of an event: the fields of `Event` that its macro does not list, and where the record was.
    const REQUIRED: [&str; 9] = [
        "event_id",
        "source",
        "category",
        "event_time",
        "correlation_origin",
        "record_index",
        "origin",
        "record_sha256",
        "redactions",
    ];

    macro_rules! model_columns {
        (text: [$($text:ident),*] bool: [$($bool:ident),*] int: [$($int:ident),*] long: [$($long:ident),*] time: [$($time:ident),*]) => {
            fn model_columns() -> BTreeMap<&'static str, ColumnType> {
                [
                    $((stringify!($text), ColumnType::Text),)*
                    $((stringify!($bool), ColumnType::Bool),)*
                    $((stringify!($int), ColumnType::Int),)*
                    $((stringify!($long), ColumnType::Long),)*
                    $((stringify!($time), ColumnType::Time),)*
                ].into_iter().collect()
            }
        };
    }
    corridor_model::for_each_event_column!(model_columns);

    #[test]
    fn contract_model_and_arrow_have_the_same_columns() {
        let mut model = model_columns();
        model.insert("received_time", ColumnType::Time);
        model.insert("directory_version", ColumnType::Text);
        let optional: BTreeMap<&str, ColumnType> = evidence_columns()
            .iter()
            .filter(|column| is_event_column(column) && !column.required)
            .map(|column| (column.name.as_str(), column.column_type))
            .collect();
        assert_eq!(optional, model);
        let required: Vec<&str> = evidence_columns()
            .iter()
            .filter(|column| is_event_column(column) && column.required)
            .map(|column| column.name.as_str())
            .collect();
        assert_eq!(required, REQUIRED);
        assert_eq!(evidence_schema().fields().len(), evidence_columns().len());
    }

    #[test]
    fn only_types_that_serverless_reads_are_used() {
        let time = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
        let allowed = [DataType::Utf8, DataType::Boolean, DataType::Int32, DataType::Int64, time];
        for schema in [evidence_schema(), records_schema(), rejects_schema()] {
            for field in schema.fields() {
                assert!(allowed.contains(field.data_type()), "{field}");
            }
        }
    }
}
