//! Agent: a user agent reduced to family and major version.
//!
//! - In: a `user-agent` header.
//! - Out: for instance `chrome/120`, `python-requests/2`; nothing that tells one person's machine.

use memchr::memmem::Finder;
use std::borrow::Cow;
use std::sync::LazyLock;

/// Products that a browser names behind others, most telling first.
const BROWSERS: &[(&str, &str)] = &[
    ("Edg/", "edge"),
    ("EdgA/", "edge"),
    ("OPR/", "opera"),
    ("SamsungBrowser/", "samsung"),
    ("Firefox/", "firefox"),
    ("HeadlessChrome/", "chrome"),
    ("CriOS/", "chrome"),
    ("Chrome/", "chrome"),
    ("Version/", "safari"),
];

const FAMILY_BYTES_MAX: usize = 40;

pub(super) fn family(user_agent: &str) -> Cow<'_, str> {
    let agent = user_agent.trim();
    if agent.is_empty() {
        return Cow::Borrowed("");
    }
    if agent.starts_with("Mozilla/") {
        if let Some(at) = COMPATIBLE.find(agent.as_bytes()) {
            let rest = &agent[at + COMPATIBLE.needle().len()..];
            let end = COMPATIBLE.find(rest.as_bytes()).unwrap_or(rest.len());
            return product(&rest[..end]);
        }
        if let Some((name, version)) = browser(agent) {
            return with_major(name, version);
        }
    }
    product(agent)
}

static COMPATIBLE: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("compatible; "));

/// The most telling product and what stands behind its slash.
fn browser(agent: &str) -> Option<(&'static str, &str)> {
    let mut best = BROWSERS.len();
    let mut version = "";
    for slash in memchr::memchr_iter(b'/', agent.as_bytes()) {
        let (before, behind) = (&agent[..=slash], &agent[slash + 1..]);
        if let Some(rank) = BROWSERS[..best].iter().position(|(mark, _)| before.ends_with(mark)) {
            (best, version) = (rank, behind);
        }
    }
    BROWSERS.get(best).map(|(_, name)| (*name, version))
}

/// The first product of the text.
fn product(text: &str) -> Cow<'_, str> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '/' | '!');
    let end = text.find(|c| !is_part(c)).unwrap_or(text.len());
    let (name, version) = text[..end].split_once('/').unwrap_or((&text[..end], ""));
    if name.is_empty() || name.len() > FAMILY_BYTES_MAX {
        return Cow::Borrowed("other");
    }
    let is_normal = version.bytes().all(|byte| byte.is_ascii_digit())
        && !version.is_empty()
        && version.len() <= 4
        && !name.bytes().any(|byte| byte.is_ascii_uppercase());
    if is_normal { Cow::Borrowed(&text[..name.len() + 1 + version.len()]) } else { with_major(name, version) }
}

fn with_major<'a>(name: &str, version: &str) -> Cow<'a, str> {
    let digits = version.bytes().take_while(u8::is_ascii_digit).take(4).count();
    let mut family = String::with_capacity(name.len() + 1 + digits);
    family.push_str(name);
    family.make_ascii_lowercase();
    if digits > 0 {
        family.push('/');
        family.push_str(&version[..digits]);
    }
    Cow::Owned(family)
}
