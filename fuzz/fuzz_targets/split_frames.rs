//! The splitter over any bytes: pieces are numbered in a row, and no byte of the input is given twice.
#![no_main]

use corridor_refine::split::{Piece, split};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut next = 0;
    split(bytes, &mut |piece| {
        let (Piece::Record { index, .. } | Piece::Broken { index, .. }) = piece;
        assert_eq!(index, next, "pieces are numbered in a row");
        next += 1;
    });
    let has_content = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes).trim_ascii();
    let may_be_empty = has_content.iter().any(|byte| matches!(byte, b'[' | b'{' | b'"'));
    assert!(next > 0 || has_content.is_empty() || may_be_empty, "content leaves as some piece");
});
