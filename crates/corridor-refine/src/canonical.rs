//! Canonical JSON: sorted keys, no insignificant white space. The content that fallback event ids hash.

/// The canonical form of one JSON text. None when it is not JSON.
pub fn canonical_json(text: &str) -> Option<Vec<u8>> {
    let value: serde_json::Value = serde_json::from_str(text).ok()?;
    serde_json::to_vec(&value).ok()
}
