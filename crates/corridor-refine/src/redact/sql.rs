//! SQL: a statement without its literals, and its leading verb.
//!
//! - In: T-SQL, complete or cut off.
//! - Out: text with `?` for every literal, without comments, on one line.
//! - Invariants: what is open at the end (quote, comment, bracket) is masked to the end.

/// Verbs that are told apart, as they are written.
const VERBS: &[&str] = &[
    "SELECT",
    "INSERT",
    "UPDATE",
    "DELETE",
    "MERGE",
    "TRUNCATE",
    "CREATE",
    "ALTER",
    "DROP",
    "GRANT",
    "DENY",
    "REVOKE",
    "EXEC",
    "EXECUTE",
    "WITH",
    "USE",
    "SET",
    "DECLARE",
    "BEGIN",
    "COMMIT",
    "ROLLBACK",
    "SAVE",
    "BACKUP",
    "RESTORE",
    "COPY",
    "BULK",
    "OPEN",
    "CLOSE",
    "FETCH",
    "PRINT",
    "IF",
    "WHILE",
    "RETURN",
    "KILL",
    "DBCC",
    "WAITFOR",
    "EXPLAIN",
    "RENAME",
    "ADD",
    "REVERT",
    "RAISERROR",
    "THROW",
    "CHECKPOINT",
    "RECONFIGURE",
    "SHUTDOWN",
    "ENABLE",
    "DISABLE",
    "MOVE",
];

/// Verbs that a common table expression leads to.
const AFTER_WITH: &[&str] = &["SELECT", "INSERT", "UPDATE", "DELETE", "MERGE"];

/// Shorter words are not looked into for secrets.
const WORD_BYTES_PLAIN: usize = 16;

/// The normal form, and how many literals it lost.
pub(super) fn normalise(statement: &str) -> (String, u32) {
    let mut literal_count: u32 = 0;
    let mut out = String::with_capacity(statement.len());
    let mut scanner = Scanner { text: statement, at: 0 };
    let mut needs_space = false;
    let mut hides_word = false;
    while let Some(piece) = scanner.next_piece() {
        match piece {
            Piece::Blank => {
                needs_space = !out.is_empty();
                continue;
            }
            Piece::Literal | Piece::Word(_) | Piece::Other(_) if needs_space => {
                out.push(' ');
                needs_space = false;
            }
            Piece::Literal | Piece::Word(_) | Piece::Other(_) => {}
        }
        match piece {
            Piece::Word("?") => out.push('?'),
            Piece::Literal => {
                out.push('?');
                literal_count = literal_count.saturating_add(1);
            }
            Piece::Word(word) if hides_word || is_secret_word(word) => {
                out.push('?');
                literal_count = literal_count.saturating_add(1);
            }
            Piece::Word(word) => out.push_str(word),
            Piece::Other(other) => {
                hides_word = other == "=" && ends_with_secret_name(&out);
                out.push_str(other);
                continue;
            }
            Piece::Blank => {}
        }
        hides_word = false;
    }
    (out, literal_count)
}

fn is_secret_word(word: &str) -> bool {
    word.len() >= WORD_BYTES_PLAIN && !super::shape::spans(word).is_empty()
}

fn ends_with_secret_name(out: &str) -> bool {
    let word = out.trim_end().rsplit(|c: char| !(c.is_alphanumeric() || c == '_')).next().unwrap_or_default();
    ["PASSWORD", "SECRET", "OLD_PASSWORD", "PWD", "TOKEN", "KEY"]
        .iter()
        .any(|name| name.eq_ignore_ascii_case(word))
}

/// The leading verb; for a common table expression the verb after it.
pub(super) fn verb(statement: &str) -> Option<&'static str> {
    let mut scanner = Scanner { text: statement, at: 0 };
    let known = |word: &str, verbs: &[&'static str]| {
        verbs.iter().copied().find(|verb| verb.eq_ignore_ascii_case(word))
    };
    let mut depth = 0_i32;
    let mut is_with = false;
    while let Some(piece) = scanner.next_piece() {
        match piece {
            Piece::Word(word) if is_with => {
                if let Some(verb) = known(word, AFTER_WITH).filter(|_| depth <= 0) {
                    return Some(verb);
                }
            }
            Piece::Word(word) => match known(word, VERBS)? {
                "EXECUTE" => return Some("EXEC"),
                "WITH" => {
                    is_with = true;
                    depth = 0;
                }
                verb => return Some(verb),
            },
            Piece::Other("(") => depth += 1,
            Piece::Other(")") => depth -= 1,
            Piece::Other(";") | Piece::Blank => {}
            Piece::Other(_) | Piece::Literal if is_with => {}
            Piece::Other(_) | Piece::Literal => return None,
        }
    }
    is_with.then_some("WITH")
}

enum Piece<'s> {
    /// White space or a comment.
    Blank,
    /// A string, number or binary constant.
    Literal,
    /// A name, keyword, variable or bracketed name.
    Word(&'s str),
    /// One other character.
    Other(&'s str),
}

struct Scanner<'s> {
    text: &'s str,
    at: usize,
}

impl<'s> Scanner<'s> {
    fn next_piece(&mut self) -> Option<Piece<'s>> {
        let rest = &self.text[self.at..];
        let first = rest.chars().next()?;
        let (length, piece) = match first {
            c if c.is_whitespace() || c.is_control() => (c.len_utf8(), Piece::Blank),
            '-' if rest.starts_with("--") => (rest.find(['\n', '\r']).unwrap_or(rest.len()), Piece::Blank),
            '/' if rest.starts_with("/*") => (comment_length(rest), Piece::Blank),
            '\'' | '"' => (quoted_length(rest, first as u8), Piece::Literal),
            '[' => {
                let length = quoted_length(rest, b']');
                let is_closed = length > 1 && rest[..length].ends_with(']');
                (length, if is_closed { Piece::Word(&rest[..length]) } else { Piece::Literal })
            }
            '?' => (1, Piece::Word(&rest[..1])),
            'N' | 'n' if rest[1..].starts_with('\'') => {
                (1 + quoted_length(&rest[1..], b'\''), Piece::Literal)
            }
            c if c.is_ascii_digit() => (number_length(rest), Piece::Literal),
            c if is_word(c) => {
                let length = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
                (length, Piece::Word(&rest[..length]))
            }
            c => (c.len_utf8(), Piece::Other(&rest[..c.len_utf8()])),
        };
        self.at += length;
        Some(piece)
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '@' | '#' | '$')
}

/// A quoted text with doubled quotes inside; to the end when it is open.
fn quoted_length(rest: &str, close: u8) -> usize {
    let bytes = rest.as_bytes();
    let mut at = 1;
    while let Some(found) = memchr::memchr(close, &bytes[at..]) {
        at += found + 1;
        if bytes.get(at) != Some(&close) {
            return at;
        }
        at += 1;
    }
    rest.len()
}

/// Block comments nest.
fn comment_length(rest: &str) -> usize {
    let bytes = rest.as_bytes();
    let (mut depth, mut at) = (0_usize, 0);
    while at + 1 < bytes.len() {
        match &bytes[at..at + 2] {
            b"/*" => (depth, at) = (depth + 1, at + 2),
            b"*/" if depth == 1 => return at + 2,
            b"*/" => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
    }
    rest.len()
}

/// A number with fraction, exponent or hex digits.
fn number_length(rest: &str) -> usize {
    let bytes = rest.as_bytes();
    let mut at = 1;
    while let Some(byte) = bytes.get(at) {
        let is_exponent_sign =
            matches!(byte, b'+' | b'-') && matches!(bytes[at - 1], b'e' | b'E') && !rest.starts_with("0x");
        if !(byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_') || is_exponent_sign) {
            break;
        }
        at += 1;
    }
    at
}
