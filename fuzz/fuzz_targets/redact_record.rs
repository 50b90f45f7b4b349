//! The redactor over any text: what it keeps is JSON, redacting it again changes nothing that a reader sees, and
//! previews stay on one line.
#![no_main]

use corridor_model::Side;
use corridor_refine::redact;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    for side in [Side::Kong, Side::Azure] {
        let mut kept = Vec::new();
        redact::record(side, text, None, &mut kept);
        let kept = String::from_utf8(kept).expect("a kept record is text");
        serde_json::from_str::<serde_json::Value>(&kept)
            .map(drop)
            .or_else(|err| if err.to_string().contains("recursion") { Ok(()) } else { Err(err) })
            .expect("a kept record is JSON");
    }
    let preview = redact::preview(text);
    assert!(!preview.contains(char::is_control) && preview.chars().count() <= 512);
    redact::normalise_sql(text);
    redact::sql_verb(text);
    let mut count = 0;
    let once = redact::mask_text(text, &mut count);
    let again = redact::mask_text(&once, &mut 0);
    assert_eq!(once, again, "masking is idempotent");
});
