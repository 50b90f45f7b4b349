//! Rules for one Rust file: length, functions, attributes, unfinished work.
//!
//! - In: path and text.
//! - Out: problems with line numbers.
//! - Keeps: nothing.
//! - Invariants: the text is formatted by rustfmt, so that an item ends on the line where its own indentation returns;
//!   test modules and files of tests are free of length limits.

use std::path::Path;

const FILE_LINES_MAX: usize = 500;
const FUNCTION_LINES_MAX: usize = 70;

/// All problems of a file.
pub(crate) fn problems(path: &Path, text: &str) -> Vec<String> {
    let lines: Vec<&str> = text.lines().collect();
    let name = path.display().to_string();
    let mut problems = attribute_problems(&name, &lines);
    if !text.starts_with("//!") {
        problems.push(format!("{name}: the file does not open with a header"));
    }
    if is_test_file(path) {
        return problems.into_iter().filter(|problem| !problem.ends_with("header")).collect();
    }
    let production = without_test_modules(&lines);
    let line_count = production.iter().filter(|line| line.is_some()).count();
    if line_count > FILE_LINES_MAX {
        problems.push(format!("{name}: {line_count} lines without tests, the limit is {FILE_LINES_MAX}"));
    }
    problems.extend(long_functions(&name, &production));
    problems
}

fn is_test_file(path: &Path) -> bool {
    path.iter().any(|step| step == "tests" || step == "tests.rs" || step == "benches")
}

fn indentation(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

/// The line that closes an item which starts at `start`, for formatted text.
fn item_end(lines: &[Option<&str>], start: usize) -> usize {
    let depth = lines[start].map_or(0, indentation);
    let closes = |line: &str| indentation(line) == depth && (line.trim_start().starts_with('}'));
    let one_line = lines[start].is_some_and(|line| line.trim_end().ends_with([';', '}']));
    if one_line {
        return start;
    }
    (start + 1..lines.len())
        .find(|&index| lines[index].is_some_and(|line| closes(line) || ends_without_body(line, depth)))
        .unwrap_or(start)
}

/// A signature without a body, as in a trait: it ends with a semicolon at the depth of the item.
fn ends_without_body(line: &str, depth: usize) -> bool {
    indentation(line) == depth && line.starts_with(')') && line.ends_with(';')
}

/// The lines, with those of `#[cfg(test)] mod … { … }` blanked out.
fn without_test_modules<'a>(lines: &[&'a str]) -> Vec<Option<&'a str>> {
    let mut kept: Vec<Option<&str>> = lines.iter().copied().map(Some).collect();
    for index in 0..lines.len().saturating_sub(1) {
        if lines[index].trim() == "#[cfg(test)]" && lines[index + 1].trim_start().starts_with("mod ") {
            let end = item_end(&kept, index + 1);
            kept[index..=end].fill(None);
        }
    }
    kept
}

fn long_functions(name: &str, lines: &[Option<&str>]) -> Vec<String> {
    let mut problems = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        let Some(function) = line.and_then(function_name) else { continue };
        let length = item_end(lines, index) - index + 1;
        if length > FUNCTION_LINES_MAX {
            let number = index + 1;
            problems.push(format!(
                "{name}:{number}: {function} has {length} lines, the limit is {FUNCTION_LINES_MAX}"
            ));
        }
    }
    problems
}

/// The name of the function that the line declares, if it declares one.
fn function_name(line: &str) -> Option<&str> {
    const BEFORE: &[&str] = &["pub", "pub(crate)", "pub(super)", "async", "const", "unsafe"];
    let mut words = line.split_whitespace().skip_while(|word| BEFORE.contains(word));
    if words.next() != Some("fn") {
        return None;
    }
    words.next().and_then(|rest| rest.split(['(', '<']).next())
}

fn attribute_problems(name: &str, lines: &[&str]) -> Vec<String> {
    // Written in two pieces, so that this file passes its own check.
    let rules = [
        (concat!("#[", "allow("), "use #[expect(.., reason)]"),
        (concat!("#![", "allow("), "use #[expect(.., reason)]"),
        (concat!("#[", "ignore"), "no test is left out"),
        (concat!("#[", "should_panic"), "assert on a result"),
        (concat!("TO", "DO"), "finish it, or write it into docs/adr/GAPS.md"),
        (concat!("FIX", "ME"), "finish it, or write it into docs/adr/GAPS.md"),
    ];
    let mut problems = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        for (mark, advice) in rules {
            if line.contains(mark) {
                problems.push(format!("{name}:{}: {mark}: {advice}", index + 1));
            }
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems_of(text: &str) -> Vec<String> {
        problems(Path::new("crates/a/src/b.rs"), text)
    }

    #[test]
    fn function_length_is_counted_to_its_closing_brace() {
        let body = "    let x = {\n        1\n    };\n".repeat(22);
        let fits = format!("//! h\nfn fits() {{\n{body}}}\nfn short() {{}}\n");
        assert!(problems_of(&fits).is_empty(), "{:?}", problems_of(&fits));
        let body = "        x();\n".repeat(70);
        let long =
            format!("//! h\nimpl A {{\n    pub fn long(\n        a: u8,\n    ) -> u8 {{\n{body}    }}\n}}\n");
        assert_eq!(problems_of(&long), ["crates/a/src/b.rs:3: long has 74 lines, the limit is 70"]);
    }

    #[test]
    fn test_modules_do_not_count() {
        let tests = "    fn t() {}\n".repeat(600);
        assert!(
            problems_of(&format!("//! h\nfn a() {{}}\n#[cfg(test)]\nmod tests {{\n{tests}}}\n")).is_empty()
        );
        assert_eq!(problems_of(&format!("//! h\nmod tests {{\n{tests}}}\n")).len(), 1);
    }

    #[test]
    fn attributes_and_unfinished_marks_are_named_with_their_line() {
        let text = concat!("//! h\n#[", "allow(dead_code)]\nfn a() {}\n// TO", "DO later\n");
        assert_eq!(problems_of(text).len(), 2);
        assert!(problems_of(text)[0].starts_with("crates/a/src/b.rs:2:"));
    }
}
