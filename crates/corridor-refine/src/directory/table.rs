//! Table: a CSV file of the directory, read row by row with every problem noted.
//!
//! - In: the bytes of one file and the columns it may have.
//! - Out: rows with typed cells; problems that name file, line and column.
//! - Invariants: one bad cell never hides another; blank cells and blank rows count as missing.

use super::DirectoryProblem;
use corridor_model::id::{parse_hex_id, trim_id};

/// Largest directory file. A tenant of 200 000 principals is about 40 MiB.
pub(super) const FILE_BYTES_MAX: usize = 64 << 20;

/// A CSV file with known columns.
pub(super) struct Table {
    file: &'static str,
    columns: &'static [&'static str],
    positions: Vec<Option<usize>>,
    rows: Vec<(u64, csv::StringRecord)>,
}

/// The text of a directory file without its byte-order mark; None, with a problem, if it is too large or no UTF-8.
pub(super) fn text_of<'b>(
    file: &'static str,
    bytes: &'b [u8],
    problems: &mut Vec<DirectoryProblem>,
) -> Option<&'b str> {
    if bytes.len() > FILE_BYTES_MAX {
        problems.push(problem(file, 0, format!("is larger than {} MiB", FILE_BYTES_MAX >> 20)));
        return None;
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    match std::str::from_utf8(bytes) {
        Ok(text) => Some(text),
        Err(error) => {
            let line = 1 + memchr::memchr_iter(b'\n', &bytes[..error.valid_up_to()]).count() as u64;
            problems.push(problem(file, line, "is not UTF-8".to_owned()));
            None
        }
    }
}

pub(super) fn problem(file: &'static str, line: u64, message: String) -> DirectoryProblem {
    DirectoryProblem { file, line, message, is_warning: false }
}

pub(super) fn warning(file: &'static str, line: u64, message: String) -> DirectoryProblem {
    DirectoryProblem { file, line, message, is_warning: true }
}

impl Table {
    /// Reads the file. `needed` names the columns of which at least one must be there.
    pub(super) fn read(
        file: &'static str,
        bytes: &[u8],
        columns: &'static [&'static str],
        needed: &[&str],
        problems: &mut Vec<DirectoryProblem>,
    ) -> Option<Self> {
        let text = text_of(file, bytes, problems)?;
        let mut reader =
            csv::ReaderBuilder::new().flexible(true).trim(csv::Trim::All).from_reader(text.as_bytes());
        let headers = match reader.headers() {
            Ok(headers) => headers.clone(),
            Err(error) => {
                problems.push(problem(file, 1, format!("header row cannot be read: {}", csv_text(&error))));
                return None;
            }
        };
        let positions = positions(file, &headers, columns, problems);
        let has_needed =
            columns.iter().zip(&positions).any(|(column, at)| at.is_some() && needed.contains(column));
        if !has_needed {
            let message = format!(
                "header row must name {}; the columns are {}",
                needed.join(" or "),
                columns.join(", ")
            );
            problems.push(problem(file, 1, message));
            return None;
        }
        let mut rows = Vec::new();
        for record in reader.into_records() {
            match record {
                Ok(record) if record.iter().all(str::is_empty) => {}
                Ok(record) => {
                    let line = record.position().map_or(0, csv::Position::line);
                    if record.len() != headers.len() {
                        let message =
                            format!("has {} fields, the header row has {}", record.len(), headers.len());
                        problems.push(problem(file, line, message));
                    } else {
                        rows.push((line, record));
                    }
                }
                Err(error) => {
                    let line = error.position().map_or(0, csv::Position::line);
                    problems.push(problem(file, line, csv_text(&error)));
                }
            }
        }
        Some(Self { file, columns, positions, rows })
    }

    /// The rows in file order.
    pub(super) fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        self.rows.iter().map(|(line, record)| Row { table: self, line: *line, record })
    }
}

/// Where each known column stands in the header row.
fn positions(
    file: &'static str,
    headers: &csv::StringRecord,
    columns: &'static [&'static str],
    problems: &mut Vec<DirectoryProblem>,
) -> Vec<Option<usize>> {
    let mut positions = vec![None; columns.len()];
    for (at, header) in headers.iter().enumerate() {
        match columns.iter().position(|column| same_name(column, header)) {
            Some(index) if positions[index].is_some() => {
                problems.push(problem(file, 1, format!("column {} appears twice", columns[index])));
            }
            Some(index) => positions[index] = Some(at),
            None if header.is_empty() => {}
            None => {
                let shown: String = header.chars().filter(|c| !c.is_control()).take(40).collect();
                problems.push(warning(file, 1, format!("column {shown:?} is not known and is ignored")));
            }
        }
    }
    positions
}

/// Compares column names without case, blanks, `-` and `_`.
fn same_name(column: &str, header: &str) -> bool {
    let squeeze = |name: &str| -> String {
        name.chars().filter(|c| !matches!(c, ' ' | '-' | '_')).flat_map(char::to_lowercase).collect()
    };
    squeeze(column) == squeeze(header)
}

/// A CSV error without the cell's content.
fn csv_text(error: &csv::Error) -> String {
    match error.kind() {
        csv::ErrorKind::Utf8 { .. } => "is not UTF-8".to_owned(),
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            format!("has {len} fields, the header row has {expected_len}")
        }
        _ => "is not CSV".to_owned(),
    }
}

/// One row.
pub(super) struct Row<'t> {
    table: &'t Table,
    /// Line in the file, from 1.
    pub(super) line: u64,
    record: &'t csv::StringRecord,
}

impl<'t> Row<'t> {
    /// A cell's text; None when it is blank or the column is missing.
    pub(super) fn text(&self, column: &str) -> Option<&'t str> {
        let index = self.table.columns.iter().position(|name| *name == column)?;
        let cell = self.record.get(self.table.positions[index]?)?;
        (!cell.is_empty()).then_some(cell)
    }

    /// A GUID, lower case with hyphens. The all-zero GUID counts as missing.
    pub(super) fn guid(&self, column: &str, problems: &mut Vec<DirectoryProblem>) -> Option<String> {
        let cell = self.text(column)?;
        match parse_hex_id(trim_id(cell)) {
            Some(0) => None,
            Some(value) => Some(to_guid(value)),
            None => {
                problems.push(self.wrong(column, "a GUID"));
                None
            }
        }
    }

    /// Yes or no.
    pub(super) fn flag(&self, column: &str, problems: &mut Vec<DirectoryProblem>) -> Option<bool> {
        let cell = self.text(column)?;
        let flag = parse_flag(cell);
        if flag.is_none() {
            problems.push(self.wrong(column, "true or false"));
        }
        flag
    }

    /// The members of a list, separated by `;`.
    pub(super) fn list(&self, column: &str) -> Vec<String> {
        let members = self.text(column).unwrap_or_default().split(';').map(str::trim);
        members.filter(|member| !member.is_empty()).map(str::to_owned).collect()
    }

    /// A problem with one cell. The cell itself is not shown: it may be a secret in the wrong column.
    pub(super) fn wrong(&self, column: &str, expected: &str) -> DirectoryProblem {
        problem(self.table.file, self.line, format!("column {column} must be {expected}"))
    }
}

/// `true`, `yes`, `1`, `enabled` and their opposites, in any case.
pub(super) fn parse_flag(cell: &str) -> Option<bool> {
    let is = |words: &[&str]| words.iter().any(|word| cell.eq_ignore_ascii_case(word));
    if is(&["true", "yes", "y", "1", "enabled"]) {
        Some(true)
    } else if is(&["false", "no", "n", "0", "disabled"]) {
        Some(false)
    } else {
        None
    }
}

/// The 36-character form of a GUID.
pub(crate) fn to_guid(value: u128) -> String {
    let digits = format!("{value:032x}");
    [&digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..]].join("-")
}
