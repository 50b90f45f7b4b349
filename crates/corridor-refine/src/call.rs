//! Call: method, host and path of a call, in the one form that both sides of the join compare.
//!
//! - In: a URL or request target, as either side logs it.
//! - Out: host without port and user, path without query; the join keys made of them.
//! - Invariants: no query value leaves this module; a trailing slash and the method's case do not count.

use corridor_model::Key128;
use memchr::{memchr, memchr2};
use std::borrow::Cow;

/// Host and path of a URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UrlParts<'a> {
    /// Lower case, without port and user; None for a bare path.
    pub(crate) host: Option<Cow<'a, str>>,
    /// Without query and fragment; empty when the URL has no path.
    pub(crate) path: &'a str,
    /// Behind the `?`, without fragment. Holds secrets: only its names may be stored.
    pub(crate) query: &'a str,
}

/// Cuts a URL (`scheme://host:port/path?query`) or a request target (`/path?query`).
pub(crate) fn split_url(url: &str) -> UrlParts<'_> {
    let url = url.trim();
    let (before_query, query) = match memchr2(b'?', b'#', url.as_bytes()) {
        Some(at) if url.as_bytes()[at] == b'?' => (&url[..at], without_fragment(&url[at + 1..])),
        Some(at) => (&url[..at], ""),
        None => (url, ""),
    };
    if before_query.starts_with('/') {
        return UrlParts { host: None, path: before_query, query };
    }
    match cut_scheme(before_query) {
        Some((scheme, rest)) if !scheme.contains('/') => {
            let (authority, path) = match memchr(b'/', rest.as_bytes()) {
                Some(at) => rest.split_at(at),
                None => (rest, ""),
            };
            UrlParts { host: host_of(authority), path, query }
        }
        _ => UrlParts { host: None, path: before_query, query },
    }
}

fn without_fragment(text: &str) -> &str {
    memchr(b'#', text.as_bytes()).map_or(text, |at| &text[..at])
}

/// What stands before and behind the first `://`.
fn cut_scheme(url: &str) -> Option<(&str, &str)> {
    let mut colons = memchr::memchr_iter(b':', url.as_bytes());
    let at = colons.find(|at| url[at + 1..].starts_with("//"))?;
    Some((&url[..at], &url[at + 3..]))
}

/// The host of `user:password@host:port`, lower case. None when empty.
pub(crate) fn host_of(authority: &str) -> Option<Cow<'_, str>> {
    let authority = authority.trim();
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let host = match host.split_once(']') {
        Some((address, _)) if address.starts_with('[') => &host[..=address.len()],
        _ => host.split_once(':').map_or(host, |(host, _)| host),
    };
    if host.is_empty() {
        None
    } else if host.bytes().any(|byte| byte.is_ascii_uppercase()) {
        Some(Cow::Owned(host.to_ascii_lowercase()))
    } else {
        Some(Cow::Borrowed(host))
    }
}

/// Key of method and path, for the run_id rung. The path may still have its query.
pub(crate) fn call_key(method: &str, path: &str) -> Key128 {
    Key128::of_text(&[&upper(method), comparable_path(path)])
}

/// Key of method, host and path, for the identity_time rung. The host comes from [`split_url`] or [`host_of`].
pub(crate) fn call_at_host_key(method: &str, host: &str, path: &str) -> Key128 {
    Key128::of_text(&[&upper(method), host, comparable_path(path)])
}

fn comparable_path(path: &str) -> &str {
    let path = memchr(b'?', path.as_bytes()).map_or(path, |at| &path[..at]);
    path.trim_end_matches('/')
}

fn upper(method: &str) -> Cow<'_, str> {
    if method.bytes().any(|byte| byte.is_ascii_lowercase()) {
        Cow::Owned(method.to_ascii_uppercase())
    } else {
        Cow::Borrowed(method)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_give_host_and_path_without_port_user_and_query() {
        let cases = [
            ("https://GW.contoso.example:8443/a/b?sig=x#f", Some("gw.contoso.example"), "/a/b", "sig=x"),
            ("https://user:pass@h/", Some("h"), "/", ""),
            ("http://kong:8000", Some("kong"), "", ""),
            ("http://[2001:db8::1]:8000/x", Some("[2001:db8::1]"), "/x", ""),
            ("/a?next=https://other/", None, "/a", "next=https://other/"),
            ("/a/http://b", None, "/a/http://b", ""),
            ("", None, "", ""),
            ("://", None, "", ""),
            ("http://]:x", Some("]"), "", ""),
        ];
        for (url, host, path, query) in cases {
            let parts = split_url(url);
            assert_eq!((parts.host.as_deref(), parts.path, parts.query), (host, path, query), "{url}");
        }
    }

    #[test]
    fn same_call_has_the_same_key_on_both_sides() {
        assert_eq!(call_key("get", "/a/b/?x=1"), call_key("GET", "/a/b"));
        assert_ne!(call_key("GET", "/a"), call_key("POST", "/a"));
        assert_ne!(call_at_host_key("GET", "h", "/a"), call_at_host_key("GET", "i", "/a"));
        assert_eq!(call_key("GET", "/"), call_key("GET", ""));
    }
}
