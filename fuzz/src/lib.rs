//! What the fuzz targets share.
//!
//! - In: any bytes.
//! - Out: a panic when a parser panics, loses a record, or lets a planted secret out.

#[path = "../../tests/src/canary.rs"]
pub mod canary;

use corridor_model::Side;
use corridor_refine::Context;
use std::sync::LazyLock;

static CONTEXT: LazyLock<Context> = LazyLock::new(Context::default);

/// Refines the bytes as they are; if they are one JSON object, also with secrets planted into it.
pub fn refine_with_canary(side: Side, bytes: &[u8]) {
    if holds_canary(bytes) {
        return;
    }
    canary::refine_all(side, bytes, &CONTEXT);
    let planted = std::str::from_utf8(bytes).ok().and_then(|text| canary::plant(side, text));
    if let Some(planted) = planted {
        canary::refine_all(side, planted.as_bytes(), &CONTEXT);
    }
}

/// Whether the fuzzer has found the secret itself, so that it may stand where no rule looks for secrets.
pub fn holds_canary(bytes: &[u8]) -> bool {
    bytes.windows(canary::CANARY.len()).any(|window| window == canary::CANARY.as_bytes())
}
