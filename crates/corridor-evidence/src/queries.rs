//! The catalogue of evidence queries: what an auditor asks, the SQL that answers, and how to read the answer.
//!
//! - In: nothing but the columns of `schemas/evidence.toml`, as the view `audit.events` shows them.
//! - Out: [`CATALOGUE`], and the script that runs all of it over one window.
//! - Keeps: nothing.
//! - Invariants: the SQL is T-SQL that `sqlglot` turns into DuckDB's dialect word by word; every result set filters
//!   the folder column `[date]` with variables (so that whole days are skipped) and `event_time` with the half-open
//!   window; lists end with a total order; no query reads a clock, so the same window gives the same answer.

mod access;
mod continuity;

/// One question of the catalogue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EvidenceQuery {
    /// Catalogue number, such as `EQ-01`.
    pub id: &'static str,
    /// Title in a few words.
    pub title: &'static str,
    /// SOC 2 criteria it is evidence for (numbers only: the wording is not ours).
    pub criteria: &'static [&'static str],
    /// The question in plain words.
    pub question: &'static str,
    /// What a good answer looks like.
    pub reading: &'static str,
    /// What a reviewer must explain.
    pub exception: &'static str,
    /// What the answer does not prove.
    pub cannot_show: &'static str,
    /// The result sets; the first is always `summary`. Counts are bigint: a month of a busy gateway is more than an int holds.
    pub results: &'static [ResultSet],
}

/// One statement of a query. Its text still holds the place of the window; see [`ResultSet::sql`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResultSet {
    /// Name within the query, such as `list`.
    pub name: &'static str,
    /// The statement, without a semicolon.
    template: &'static str,
}

/// Stands for the window filter in the templates.
const WINDOW: &str = "{window}";

/// The window filter. The folder dates are compared as text, without a cast, so that folders are skipped.
const WINDOW_SQL: &str =
    "[date] >= @from_date AND [date] <= @to_date\n      AND event_time >= @from AND event_time < @to";

impl ResultSet {
    /// The statement as T-SQL over `audit.events` with the variables `@from`, `@to`, `@from_date`, `@to_date`.
    pub fn sql(&self) -> String {
        self.template.trim().replace(WINDOW, WINDOW_SQL)
    }
}

/// The queries, by number.
pub const CATALOGUE: &[EvidenceQuery] =
    &[access::EQ_01, access::EQ_02, access::EQ_03, continuity::EQ_04, continuity::EQ_05];

/// The variables, with a month to be replaced by the reader's window.
const PARAMETERS: &str = "\
DECLARE @from datetime2(6) = '2026-10-01T00:00:00', @to datetime2(6) = '2026-11-01T00:00:00';
DECLARE @from_date nvarchar(1024) = CONVERT(nvarchar(10), @from, 23), @to_date nvarchar(1024) = CONVERT(nvarchar(10), @to, 23);
";

/// The script with every query of the catalogue, one batch each.
pub fn render_script(database: &str) -> String {
    let mut script = format!(
        "\
/* Corridor evidence, part 4: the questions. They only read. Each batch stands alone: set @from and @to (UTC,
   half-open: @to is not part of the window) and run it. Every first result says what was measured, of how many,
   and whether the data can answer at all: \"not measurable\" is not zero. */
USE {};
GO
",
        crate::tsql::quoted_name(database)
    );
    for query in CATALOGUE {
        script.push_str(&render_query(query));
    }
    script
}

fn render_query(query: &EvidenceQuery) -> String {
    let mut batch = format!(
        "/* {id} {title} ({criteria})\n   Question: {question}\n   Reading: {reading}\n   Exception: {exception}\n   \
         Cannot show: {cannot} */\n{PARAMETERS}",
        id = query.id,
        title = query.title,
        criteria = query.criteria.join(", "),
        question = query.question,
        reading = query.reading,
        exception = query.exception,
        cannot = query.cannot_show,
    );
    for result in query.results {
        batch.push_str(&format!("-- {} {}\n{};\n", query.id, result.name, result.sql()));
    }
    batch.push_str("GO\n");
    batch
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_query_is_windowed_and_starts_with_its_summary() {
        for query in CATALOGUE {
            assert_eq!(query.results[0].name, "summary", "{}", query.id);
            for result in query.results {
                let sql = result.sql();
                assert!(sql.contains("[date] >= @from_date"), "{} {}", query.id, result.name);
                assert!(sql.contains("event_time < @to"), "{} {}", query.id, result.name);
                assert!(!sql.contains(['{', '}', ';']), "{} {}", query.id, result.name);
                assert!(result.name == "summary" || sql.contains("ORDER BY"), "{} {}", query.id, result.name);
            }
        }
    }

    #[test]
    fn summaries_give_value_denominator_and_measurability() {
        for query in CATALOGUE {
            let sql = query.results[0].sql();
            for column in ["AS value", "AS denominator", "AS measurable", "AS reason"] {
                assert!(sql.contains(column), "{}: {column}", query.id);
            }
        }
    }

    #[test]
    fn numbers_are_in_order_and_comments_cannot_be_closed_early() {
        let ids: Vec<&str> = CATALOGUE.iter().map(|query| query.id).collect();
        assert_eq!(ids, ["EQ-01", "EQ-02", "EQ-03", "EQ-04", "EQ-05"]);
        for query in CATALOGUE {
            for text in [query.title, query.question, query.reading, query.exception, query.cannot_show] {
                assert!(!text.contains("*/") && !text.is_empty(), "{}", query.id);
            }
        }
    }

    #[test]
    fn script_has_one_batch_for_each_query() {
        let script = render_script("corridor_audit");
        assert_eq!(script.matches("\nGO\n").count(), 1 + CATALOGUE.len());
        assert_eq!(script.matches("DECLARE @from datetime2").count(), CATALOGUE.len());
    }
}
