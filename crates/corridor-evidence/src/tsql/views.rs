//! The views: which generation counts, and the three tables of the lake in that generation.
//!
//! - In: the column lists of `schemas/evidence.toml`.
//! - Out: `02-views.sql`.
//! - Keeps: nothing.
//! - Invariants: every column of the contract is bound by its exact name; a required column binds `strict`, so that a
//!   file without it fails the query instead of reading as null; folders are compared as text, uncast, so that a
//!   literal date skips folders.

use super::objects::DATA_SOURCE;
use super::{TsqlConfig, quoted_name};
use corridor_lake::columns::{self, ColumnSpec, ColumnType};

/// Collation of the database and of every text column: the only one under which text columns skip row groups.
pub(crate) const COLLATION: &str = "Latin1_General_100_BIN2_UTF8";

const GENERATION_VIEW: &str = "\
/* The generation of each day that counts now: the highest whose activation has come, by the clock of the query.
   All files of a generation exist long before it counts, so every query sees one whole generation. */
CREATE OR ALTER VIEW audit.generation AS
SELECT s.[date], MAX(s.gen) AS gen
FROM OPENROWSET(BULK 'seals/**', DATA_SOURCE = 'ds_lake', FORMAT = 'CSV', PARSER_VERSION = '2.0', FIRSTROW = 2)
     WITH ([date] nvarchar(10), gen nvarchar(3), activate_at datetime2(0)) AS s
WHERE s.activate_at <= SYSUTCDATETIME()
GROUP BY s.[date];
GO
";

/// A table of the lake that becomes a view.
struct Table {
    name: &'static str,
    about: &'static str,
    columns: &'static [ColumnSpec],
}

pub(crate) fn views(config: &TsqlConfig) -> String {
    let tables = [
        Table {
            name: "events",
            about: "The evidence: one row for each event of either side. What each column means: docs/data-dictionary.md.",
            columns: columns::evidence_columns(),
        },
        Table {
            name: "records",
            about: "The redacted originals, to trace a row to its source by event_id.",
            columns: columns::records_columns(),
        },
        Table {
            name: "rejects",
            about: "What could not become an event, and why.",
            columns: columns::rejects_columns(),
        },
    ];
    let mut sql = format!(
        "\
/* Corridor evidence, part 2: the views. Generated from schemas/evidence.toml; run it again after an upgrade, before
   the first file with a new column is written. [date] and [hour] are folder names: compare them as text, for example
   WHERE [date] >= N'2026-10-01', and only the folders of those days are read. */
USE {};
GO
{GENERATION_VIEW}",
        quoted_name(&config.database)
    );
    for table in &tables {
        sql.push_str(&table_view(table));
    }
    sql
}

fn table_view(table: &Table) -> String {
    let selected: Vec<String> =
        table.columns.iter().map(|column| format!("       e.{}", column.name)).collect();
    let bound: Vec<String> = table.columns.iter().map(bound_column).collect();
    format!(
        "\
/* {about} */
CREATE OR ALTER VIEW audit.{name} AS
SELECT e.filepath(2) AS [date], e.filepath(3) AS [hour],
{selected}
FROM OPENROWSET(BULK '{name}/gen=*/date=*/hour=*/*.parquet', DATA_SOURCE = '{DATA_SOURCE}', FORMAT = 'PARQUET')
     WITH (
{bound}
     ) AS e
LEFT JOIN audit.generation AS g ON g.[date] = e.filepath(2)
WHERE e.filepath(1) = ISNULL(g.gen, N'000');
GO
",
        about = table.about,
        name = table.name,
        selected = selected.join(",\n"),
        bound = bound.join(",\n"),
    )
}

fn bound_column(column: &ColumnSpec) -> String {
    let path = if column.required { "strict $" } else { "$" };
    format!("         {} {} '{path}.{}'", column.name, sql_type(column), column.name)
}

/// Declared type of a column, as the pool maps the Parquet type that the lake writes.
pub(crate) fn sql_type(column: &ColumnSpec) -> String {
    match (column.column_type, column.max_length) {
        (ColumnType::Text, Some(bytes)) => format!("varchar({bytes}) COLLATE {COLLATION}"),
        (ColumnType::Text, None) => format!("varchar(max) COLLATE {COLLATION}"),
        (ColumnType::Bool, _) => "bit".into(),
        (ColumnType::Int, _) => "int".into(),
        (ColumnType::Long, _) => "bigint".into(),
        (ColumnType::Time, _) => "datetime2(6)".into(),
    }
}
