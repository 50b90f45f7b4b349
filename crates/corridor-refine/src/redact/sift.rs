//! Sift: one look at each byte of a JSON string, which finds its end and tells of most strings that they hold nothing.
//!
//! - In: bytes behind an opening quote.
//! - Out: where the closing quote stands, and what the bytes in between say.
//! - Invariants: what sift calls clean `mask_text` leaves as it is (a property test compares them). In doubt unclean.

use super::shape;

/// What a byte says, as a set of bits. Three bytes in a row are suspicious when they share one of the lowest bits, the
/// second and the first as many places higher: no secret shape is without such a triple, a query, or a name before a
/// separator.
const HYPHEN: u32 = 1;
const UNDERSCORE: u32 = 1 << 1;
const DOT: u32 = 1 << 2;
const BLANK: u32 = 1 << 3;
const TOKEN: u32 = 1 << 4;
const MAKER: u32 = 1 << 5;
/// An escape or a query begins.
const HARD: u32 = 1 << 6;
/// A name may end before it.
const SEPARATOR: u32 = 1 << 7;
const ALWAYS: u32 = HARD | SEPARATOR;
const TRIPLES: u32 = 0xff;
const TO_SECOND: u32 = 8;
const TO_FIRST: u32 = 16;

/// Ends the string, or cannot stand in it as it is.
const STOP: u32 = 1 << 24;
/// Stands in no GUID, digest, number or time.
const FOREIGN: u32 = 1 << 25;
const UPPER: u32 = 1 << 26;
const LOWER: u32 = 1 << 27;
const DIGIT: u32 = 1 << 28;
/// `@`: a user name may stand there.
const AT: u32 = 1 << 29;
/// `?` and `#`: a URL's query or fragment begins.
const MARK: u32 = 1 << 30;

/// Shorter texts hold no secret shape.
const SECRET_BYTES_MIN: usize = 5;
/// Shorter texts hold no random run.
const RANDOM_BYTES_MIN: usize = 40;

const CLASSES: [u32; 256] = {
    let mut classes = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        classes[byte] = class(byte as u8);
        byte += 1;
    }
    classes
};

const fn class(byte: u8) -> u32 {
    let third = match byte {
        b'-' => HYPHEN,
        b'_' => UNDERSCORE,
        b'.' => DOT,
        b' ' | b'+' => BLANK,
        b'J' => TOKEN,
        b'I' => MAKER,
        b'%' | b'?' => HARD,
        b':' | b'=' => SEPARATOR,
        _ => 0,
    };
    let kind = match byte {
        0..0x20 | b'"' | b'\\' => return STOP,
        b'A'..=b'Z' => UPPER,
        b'a'..=b'z' => LOWER,
        b'0'..=b'9' => DIGIT,
        b'@' => AT,
        b'?' | b'#' => MARK,
        _ => 0,
    };
    let is_id_byte = matches!(byte, b'0'..=b'9' | b'a'..=b'f' | b'-' | b'.' | b':' | b'T' | b'Z');
    let foreign = if is_id_byte { 0 } else { FOREIGN };
    third | second(byte) << TO_SECOND | first(byte) << TO_FIRST | kind | foreign
}

/// The last but one of `glpat-`, `xoxb-`, `sk-` and `-----`, of `ghp_`, `github_pat_` and `sk_live_`, of `hvs.`, of a scheme
/// before its credential, of `eyJ`, of `AKI` and `AI`.
const fn second(byte: u8) -> u32 {
    let hyphen = if matches!(byte, b't' | b'b' | b'p' | b'k' | b'-') { HYPHEN } else { 0 };
    let underscore = if matches!(byte, b'p' | b'o' | b's' | b't' | b'e') { UNDERSCORE } else { 0 };
    let dot = if byte == b's' { DOT } else { 0 };
    let blank = if matches!(byte | 0x20, b'c' | b'e' | b'm' | b'r' | b'y') { BLANK } else { 0 };
    let token = if byte == b'y' { TOKEN } else { 0 };
    let maker = if matches!(byte, b'A' | b'K' | b'S') { MAKER } else { 0 };
    ALWAYS | hyphen | underscore | dot | blank | token | maker
}

/// The byte before [`second`].
const fn first(byte: u8) -> u32 {
    let hyphen = if matches!(byte, b'a' | b'x' | b's' | b'-') { HYPHEN } else { 0 };
    let underscore = if matches!(byte, b'h' | b'a' | b'v') { UNDERSCORE } else { 0 };
    let dot = if byte == b'v' { DOT } else { 0 };
    let blank = if matches!(byte | 0x20, b'i' | b't' | b'l' | b'e') { BLANK } else { 0 };
    let token = if byte == b'e' { TOKEN } else { 0 };
    ALWAYS | hyphen | underscore | dot | blank | token | MAKER
}

/// What a string says: the bits that any of its bytes has, and of the lowest those that three bytes in a row share.
/// Small enough to stay in a register.
#[derive(Debug, Clone, Copy)]
pub(super) struct Traits(u32);

impl Traits {
    /// Of a string with escapes, of which nothing is known.
    pub(super) const ESCAPED: Self = Self(STOP);

    pub(super) fn has_escape(self) -> bool {
        self.0 & STOP != 0
    }

    /// Whether no secret shape is in the text, whose traits these are.
    #[inline]
    pub(super) fn is_clean(self, text: &str) -> bool {
        const MIXED: u32 = UPPER | LOWER | DIGIT;
        if self.has_escape() {
            return false;
        }
        if text.len() < SECRET_BYTES_MIN || self.0 & FOREIGN == 0 {
            return true;
        }
        let may_be_random = text.len() >= RANDOM_BYTES_MIN && self.0 & MIXED == MIXED;
        match self.0 & TRIPLES {
            0 => !may_be_random,
            SEPARATOR => !may_be_random && !shape::may_name_secret(text),
            _ => false,
        }
    }

    /// Whether it may name a user.
    pub(super) fn may_name_user(self) -> bool {
        self.0 & AT != 0
    }

    /// Whether it may be a URL with query or fragment.
    pub(super) fn may_have_query(self) -> bool {
        self.0 & MARK != 0
    }
}

/// Looks at the bytes up to the first that ends the string or needs another look: `"`, `\` or a control character.
/// None when there is none.
#[inline]
pub(super) fn sift(bytes: &[u8]) -> Option<(usize, Traits)> {
    // Each byte lets through what the two before it have in common, one level lower; any byte may be the first.
    const ENTERED: u32 = !(TRIPLES | TRIPLES << TO_SECOND);
    let mut levels = ALWAYS << TO_SECOND | (ALWAYS | MAKER) << TO_FIRST;
    let mut seen = 0;
    let length = bytes.iter().position(|byte| {
        let class = CLASSES[usize::from(*byte)];
        levels = (levels >> TO_SECOND | ENTERED) & class;
        seen |= levels;
        class & STOP != 0
    })?;
    Some((length, Traits(seen & !STOP)))
}

#[cfg(test)]
mod tests {
    use super::super::mask_text;
    use super::super::shape_parts::PARTS;
    use super::*;
    use proptest::prelude::*;
    use std::borrow::Cow;

    /// Parts without what ends a JSON string.
    fn plain_parts() -> Vec<&'static str> {
        PARTS.iter().copied().filter(|part| !part.contains(['"', '\\', '\t'])).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(10_000))]

        #[test]
        fn what_is_called_clean_stays(parts in prop::collection::vec(prop::sample::select(plain_parts()), 0..8)) {
            let text = parts.concat();
            let quoted = format!("{text}\" ?sig=x");
            let (length, traits) = sift(quoted.as_bytes()).expect("a quote ends it");
            prop_assert_eq!(length, text.len());
            let stays = matches!(mask_text(&text, &mut 0), Cow::Borrowed(_));
            prop_assert!(stays || !traits.is_clean(&text), "{}", text);
            prop_assert_eq!(traits.may_name_user(), text.contains('@'));
            prop_assert_eq!(traits.may_have_query(), text.contains(['?', '#']));
        }
    }

    #[test]
    fn most_texts_are_called_clean() {
        for text in [
            "",
            "GET",
            "synw-audit-prod.dev.azuresynapse.net",
            "TLS_AES_256_GCM_SHA384",
            "2026-03-04T09:20:15Z",
        ] {
            let quoted = format!("{text}\"");
            assert!(sift(quoted.as_bytes()).is_some_and(|(_, traits)| traits.is_clean(text)), "{text}");
        }
    }
}
