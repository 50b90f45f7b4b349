//! Secret name: whether a header, property or parameter name says that its value is a secret.
//!
//! - In: a name in any spelling.
//! - Out: yes or no. In doubt yes, but for names that are evidence, such as token counts.
//! - Invariants: case, `-`, `_`, `.` and blanks do not matter; nothing is allocated for ordinary names.

use aho_corasick::{AhoCorasick, AhoCorasickKind};
use std::sync::LazyLock;

/// Names that mean a secret only when they stand alone.
const WHOLE: &[&[u8]] = &[
    b"auth",
    b"xauth",
    b"pwd",
    b"pass",
    b"pin",
    b"sig",
    b"sas",
    b"jwt",
    b"key",
    b"credential",
    b"credentials",
    b"clientcredential",
    b"clientcredentials",
    b"xcsrf",
    b"xxsrf",
    b"xmsclientprincipal",
    b"refreshtoken",
    b"phpauthpw",
    b"xcredential",
    b"xcredentials",
];

/// Parts that make any name secret.
const PARTS: &[&[u8]] = &[
    b"token",
    b"secret",
    b"password",
    b"passwd",
    b"passphrase",
    b"authorization",
    b"cookie",
    b"key",
    b"signature",
    b"assertion",
    b"connectionstring",
    b"bearer",
    b"pwd",
    b"jwt",
    b"securitycredential",
    b"amzcredential",
    b"sessid",
];

/// All of [`PARTS`] at once: most names hold none.
static SECRET_PARTS: LazyLock<AhoCorasick> = LazyLock::new(|| {
    AhoCorasick::builder()
        .prefilter(false)
        .kind(Some(AhoCorasickKind::DFA))
        .build(PARTS)
        .expect("the parts are few and short")
});

/// Names that hold such a part and are no secret.
const EVIDENCE: &[&[u8]] = &[
    b"keyword",
    b"keyvault",
    b"monkey",
    b"turkey",
    b"hockey",
    b"keyspace",
    b"keyauth",
    b"partitionkey",
    b"sortkey",
    b"primarykey",
    b"foreignkey",
    b"surrogatekey",
    b"routingkey",
    b"keyboard",
    b"publickey",
    b"resultsignature",
    b"operationtoken",
    b"secretless",
];

/// Ends of names that describe a secret without holding it.
const ENDS: &[&[u8]] = &[
    b"tokens",
    b"promptoken",
    b"prompttoken",
    b"completiontoken",
    b"inputtoken",
    b"outputtoken",
    b"pertoken",
    b"tokentype",
    b"tokencount",
    b"tokenendpoint",
    b"tokenuri",
    b"tokenurl",
    b"issuertype",
    b"issuername",
    b"tokenissuer",
    b"tokenlifetime",
    b"tokenexpiry",
    b"tokenexpires",
    b"expiresat",
    b"expiresin",
    b"expireson",
    b"issuedat",
    b"tokenstatus",
    b"tokenversion",
    b"tokenidentifier",
    b"keyname",
    b"keynames",
    b"secretname",
    b"keytype",
    b"keyalgorithm",
    b"keyversion",
    b"keysize",
    b"keylength",
    b"signaturealgorithm",
    b"keyhash",
    b"passwordpolicy",
    b"credentialidentifier",
    b"credentialid",
    b"protectionstatusdetails",
    b"cookieenabled",
];

/// Whether the name says that its value is a secret.
pub(super) fn is_secret(name: &str) -> bool {
    with_squeezed(name, is_secret_squeezed)
}

/// Header names hide sessions and claim dumps besides.
pub(super) fn is_secret_header(name: &str) -> bool {
    with_squeezed(name, |name| {
        is_secret_squeezed(name)
            || contains(name, b"session")
            || contains(name, b"userinfo")
            || matches!(name, b"xamznoidcdata" | b"xforwardedclientcert" | b"xclientcert" | b"xsslclientcert")
    })
}

fn is_secret_squeezed(name: &[u8]) -> bool {
    if WHOLE.contains(&name) {
        return true;
    }
    if !SECRET_PARTS.is_match(name) {
        return false;
    }
    let tokens = name.strip_suffix(b"s").is_some_and(|one| ENDS.contains(&one));
    !tokens
        && !ENDS.iter().any(|end| name.ends_with(end) && !is_plural_secret(name))
        && !EVIDENCE.iter().any(|part| contains(name, part))
}

/// `tokens` alone ends both counts (`total_tokens`) and secrets (`access_tokens`).
fn is_plural_secret(name: &[u8]) -> bool {
    [&b"accesstokens"[..], b"refreshtokens", b"idtokens", b"apitokens", b"sastokens", b"bearertokens"]
        .contains(&name)
}

/// Whether `needle` is a part of `haystack`.
pub(super) fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.len() >= needle.len()
        && haystack.windows(needle.len()).any(|window| window[0] == needle[0] && window == needle)
}

/// Calls `decide` with the name in lower case without `-`, `_`, `.` and blanks.
pub(super) fn with_squeezed<R>(name: &str, decide: impl FnOnce(&[u8]) -> R) -> R {
    const SHORT: usize = 64;
    let significant = |byte: &u8| !matches!(byte, b'-' | b'_' | b'.' | b' ');
    if name.len() > SHORT {
        let long: Vec<u8> = name.bytes().filter(significant).map(|byte| byte.to_ascii_lowercase()).collect();
        return decide(&long);
    }
    let mut buffer = [0_u8; SHORT];
    let mut length = 0;
    for byte in name.bytes().filter(significant) {
        buffer[length] = byte.to_ascii_lowercase();
        length += 1;
    }
    decide(&buffer[..length])
}
