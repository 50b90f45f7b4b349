use super::*;
use proptest::prelude::*;

#[derive(Debug, PartialEq, Eq, Clone)]
enum Got {
    Record(String),
    Broken(String, RejectCode),
}

fn pieces(bytes: &[u8]) -> Vec<Got> {
    let mut got = Vec::new();
    split(bytes, &mut |piece| match piece {
        Piece::Record { bytes, index } => {
            assert_eq!(index as usize, got.len());
            got.push(Got::Record(String::from_utf8_lossy(bytes).into_owned()));
        }
        Piece::Broken { bytes, index, code, .. } => {
            assert_eq!(index as usize, got.len());
            got.push(Got::Broken(String::from_utf8_lossy(bytes).into_owned(), code));
        }
    });
    got
}

fn record(text: &str) -> Got {
    Got::Record(text.into())
}

#[test]
fn every_layout_gives_its_records() {
    let cases: &[(&str, &str, &[&str])] = &[
        ("blank", " \r\n\t ", &[]),
        ("bare object with CRLF", "{\"a\":1}\r\n", &[r#"{"a":1}"#]),
        ("byte-order mark", "\u{feff}{\"a\":1}", &[r#"{"a":1}"#]),
        ("array", r#"[{"a":1}, {"b":[2]}]"#, &[r#"{"a":1}"#, r#"{"b":[2]}"#]),
        ("envelope", r#"{"records":[{"a":1},{"b":2}]}"#, &[r#"{"a":1}"#, r#"{"b":2}"#]),
        ("capital envelope", r#"{ "Records" : [ {"a":1} ] }"#, &[r#"{"a":1}"#]),
        (
            "envelope with other keys",
            r#"[{"EventProcessedUtcTime":"x","records":[{"a":1}],"PartitionId":0},{"records":[{"b":2}]}]"#,
            &[r#"{"a":1}"#, r#"{"b":2}"#],
        ),
        ("empty envelope", r#"{"records": []}"#, &[]),
        ("records as texts", r#"{"records":["{\"a\":\"x\\\"y\"}"]}"#, &[r#"{"a":"x\"y"}"#]),
        ("an envelope as text", r#""{\"records\":[{\"a\":1}]}""#, &[r#"{"a":1}"#]),
        (
            "values in a row",
            "{\"a\":1}{\"b\":\"}{\"}\n[{\"c\":3}]",
            &[r#"{"a":1}"#, r#"{"b":"}{"}"#, r#"{"c":3}"#],
        ),
        (
            "two envelopes in a row",
            r#"{"records":[{"a":1}]}{"records":[{"b":1}]}"#,
            &[r#"{"a":1}"#, r#"{"b":1}"#],
        ),
        (
            "a word records inside",
            r#"{"a":{"records":[1]},"b":"records\""}"#,
            &[r#"{"a":{"records":[1]},"b":"records\""}"#],
        ),
        ("a wrapper of Kong", r#"{"message":{"a":1}}"#, &[r#"{"message":{"a":1}}"#]),
        ("braces inside a text", r#"{"a":"{x}{y}"}"#, &[r#"{"a":"{x}{y}"}"#]),
    ];
    for (name, text, want) in cases {
        let want: Vec<Got> = want.iter().map(|text| record(text)).collect();
        assert_eq!(pieces(text.as_bytes()), want, "{name}");
    }
}

#[test]
fn what_is_no_record_is_one_broken_piece() {
    let broken = |text: &str, code| Got::Broken(text.into(), code);
    let cases = [
        ("no JSON", "hello world", vec![broken("hello world", RejectCode::NotJson)]),
        ("a cut bare object is left to its parser", r#"{"a":1"#, vec![record(r#"{"a":1"#)]),
        (
            "cut array",
            r#"[{"a":1},{"b""#,
            vec![record(r#"{"a":1}"#), broken(r#"{"b""#, RejectCode::Truncated)],
        ),
        (
            "cut envelope inside an array",
            r#"[{"records":[{"a":1},{"b"#,
            vec![record(r#"{"a":1}"#), broken(r#"{"b"#, RejectCode::Truncated)],
        ),
        (
            "garbage element",
            r#"[{"a":1}, what is this, {"b":2}]"#,
            vec![record(r#"{"a":1}"#), broken("what is this", RejectCode::NotJson), record(r#"{"b":2}"#)],
        ),
        (
            "wrong bracket",
            r#"{"records":[{"a":]}, {"b":2}]}"#,
            vec![broken(r#"{"a":]}"#, RejectCode::NotJson), record(r#"{"b":2}"#)],
        ),
        (
            "garbage last",
            r#"{"records":[{"a":1},oops]}"#,
            vec![record(r#"{"a":1}"#), broken("oops", RejectCode::NotJson)],
        ),
    ];
    for (name, text, want) in cases {
        assert_eq!(pieces(text.as_bytes()), want, "{name}");
    }
}

#[test]
fn broken_utf8_does_not_disturb_the_cut() {
    let got = pieces(b"{\"records\":[{\"a\":\"\xff\xfe\"},\"{\\\"b\\\":\\\"\xff\\\"}\"]}");
    assert_eq!(got.len(), 2);
    assert!(got.iter().all(|piece| matches!(piece, Got::Record(_))));
}

fn object() -> impl Strategy<Value = String> {
    let text = r#"[a-z{}\[\]",:\\é]{0,12}"#;
    proptest::collection::btree_map("[a-z]{1,6}", text, 0..4)
        .prop_filter("an envelope is no record", |map| !map.contains_key("records"))
        .prop_map(|map| serde_json::to_string(&map).unwrap())
}

fn layout(objects: &[String], form: u8) -> String {
    let list = objects.join(" ,\n");
    match form {
        0 => objects.join("\n"),
        1 => format!("[{list}]"),
        2 => format!("{{\"records\":[{list}]}}"),
        3 => format!("[{{\"n\":{{\"x\":[1]}},\"Records\": [ {list} ],\"PartitionId\":\"}}\"}}]"),
        _ => format!("{{\"records\":{}}}", serde_json::to_string(objects).unwrap()),
    }
}

proptest! {
    #[test]
    fn any_batch_in_any_layout_comes_back(objects in proptest::collection::vec(object(), 1..6), form in 0u8..5) {
        let want: Vec<Got> = objects.iter().map(|text| record(text)).collect();
        prop_assert_eq!(pieces(layout(&objects, form).as_bytes()), want);
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        pieces(&bytes);
    }

    #[test]
    fn arbitrary_json_like_text_never_panics(text in r#"[\[\]{}",:\\ a1]{0,60}"#) {
        pieces(text.as_bytes());
        pieces(format!("{{\"records\":[{text}").as_bytes());
    }

    #[test]
    fn every_prefix_gives_complete_records_and_one_broken_piece(
        objects in proptest::collection::vec(object(), 1..5),
        form in 1u8..4,
        cut in any::<proptest::sample::Index>(),
    ) {
        let text = layout(&objects, form);
        let bytes = text.as_bytes();
        let got = pieces(&bytes[..1 + cut.index(bytes.len() - 1)]);
        if let Some((last, complete)) = got.split_last() {
            prop_assert!(complete.iter().zip(&objects).all(|(piece, text)| *piece == record(text)));
            let is_broken = match last {
                Got::Broken(_, code) => *code == RejectCode::Truncated,
                Got::Record(text) => complete.is_empty() && serde_json::from_str::<serde_json::Value>(text).is_err(),
            };
            prop_assert!(is_broken, "{last:?}");
        }
    }
}
