//! Agent: a user agent reduced to family and major version.
//!
//! - In: a `user-agent` header.
//! - Out: for instance `chrome/120`, `python-requests/2`; nothing that tells one person's machine.

use std::borrow::Cow;

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
        if let Some(rest) = agent.split("compatible; ").nth(1) {
            return product(rest);
        }
        let browser = BROWSERS.iter().find_map(|(mark, name)| Some((name, agent.split(mark).nth(1)?)));
        if let Some((name, version)) = browser {
            return with_major(name, version);
        }
    }
    product(agent)
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
    let name = name.to_ascii_lowercase();
    Cow::Owned(if digits == 0 { name } else { format!("{name}/{}", &version[..digits]) })
}
