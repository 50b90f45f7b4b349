//! Text: how a text that is too long for its column is cut.
//!
//! - In: a text, and the bytes there is room for.
//! - Out: what stays of it, and the mark that tells a reader that something is missing.

/// What stands at the end of a text that was cut.
pub const CUT_MARK: &str = "…";

/// A text that is longer than `bytes_max`: what stays of it, and [`CUT_MARK`]. Both together fit.
pub fn cut(text: &str, bytes_max: usize) -> [&str; 2] {
    let room = bytes_max.saturating_sub(CUT_MARK.len());
    let end = (0..=room).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    [&text[..end], CUT_MARK]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_between_characters_and_marked() {
        assert_eq!(cut("éééé", 6), ["é", CUT_MARK]);
        assert_eq!(cut("abcdef", 5), ["ab", CUT_MARK]);
        assert_eq!(cut("abc", 2), ["", CUT_MARK], "the mark itself needs three");
    }
}
