use super::*;
use crate::object::{deserialize_object, lenient_object};
use crate::scalar::{Key, List, Raw, Scalar};
use proptest::prelude::*;

lenient_object! {
    struct Other<'a> copied as "test::Other" {
        y: Scalar<'a> = b"y",
        z: Scalar<'a> = b"z",
    }
}

lenient_object! {
    struct Inner<'a> copied as "test::Inner" {
        text: Scalar<'a> = b"text" | b"t",
        list: List<'a> = b"list",
    }
}

/// Holds whatever a record can hold.
#[derive(Debug, Default)]
struct Sample<'a> {
    inner: Inner<'a>,
    other: Other<'a>,
    members: Vec<(String, Scalar<'a>)>,
    raws: Vec<&'a str>,
}

impl<'de> FromObject<'de> for Sample<'de> {
    fn is_object(&self) -> bool {
        false
    }

    fn read_members<A: MapAccess<'de>>(&mut self, mut map: A) -> Result<(), A::Error> {
        while let Some(Key(name)) = map.next_key()? {
            match &*name {
                "inner" => map.next_value_seed(Place(&mut self.inner))?,
                "other" => map.next_value_seed(Place(&mut self.other))?,
                "raw" => self.raws.push(map.next_value::<Raw<'de>>()?.0),
                _ => {
                    let value = map.next_value()?;
                    self.members.push((name.into_owned(), value));
                }
            }
        }
        Ok(())
    }
}

deserialize_object!(Sample);

/// What the reader takes it takes as `serde_json` does. Returns whether it took it.
fn agrees(text: &str) -> bool {
    let mut quick = Sample::default();
    if read_usual(text, Place(&mut quick)).is_none() {
        return false;
    }
    let thorough: Sample<'_> = serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"));
    assert_eq!(format!("{quick:?}"), format!("{thorough:?}"), "{text}");
    true
}

#[test]
fn usual_json_is_read_at_once() {
    let texts = [
        "{}",
        " {\"a\" : 1 ,\r\n\t\"b\":[ ] } ",
        r#"{"a":"x","a":-7,"b":true,"c":false,"d":null,"e":[],"f":{},"g":[[1,{"h":2}],"i"]}"#,
        r#"{"url":"https:\/\/h\/a?b=\"c\"\\\b\f\n\r\tA\u00e9\u20AC","q\u0075ote":"é"}"#,
        r#"{"n":0,"m":-1,"o":999999999999999999,"p":123456789012345678901,"q":1.5,"r":-0,"s":-0.0,"t":1e5,"u":1.7724096000021e+18}"#,
        r#"{"inner":{"text":"a","t":["b",{}],"list":[1,"c",null]},"raw":{"x":[1,{"y":"\u0041\ud800"}]},"raw":-1.5E-7}"#,
        r#"{"inner":{"text":1},"inner":[],"inner":{"list":"x","z":[[[[]]],{"a":{}}]}}"#,
        "[]",
        "7",
        "\"text\"",
    ];
    for text in texts {
        assert!(agrees(text), "{text}");
    }
}

#[test]
fn what_is_no_json_is_refused_with_the_position() {
    for text in [
        "",
        "{",
        "{\"a\"",
        "{\"a\":",
        "{\"a\":1",
        "{\"a\":1,}",
        "{,}",
        "{\"a\":1 \"b\":2}",
        "{a:1}",
        "{\"a\":01}",
        "{\"a\":-}",
        "{\"a\":1.}",
        "{\"a\":1e}",
        "{\"a\":tru}",
        "{\"a\":\"\u{1}\"}",
        "{\"a\":\"\\x\"}",
        "{\"a\":\"\\u12g4\"}",
        "{\"a\":\"\\u+123\"}",
        "{\"a\":[1,]}",
        "{\"a\":[1 2]}",
        "{\"a\":1}}",
        "{\"a\":1} x",
        "{\"raw\":[1,]}",
        "{\"raw\":{\"a\":1,}}",
        "{\"raw\":[}",
        "{\"raw\":\"\t\"}",
        "{\"raw\":00}",
        "{\"raw\":\"\\u12\"}",
        "{\"a\":1e999}",
        "{\"a\":\"\\ud800\"}",
        "{\"\\ud800\":1}",
        "\u{b}{}",
    ] {
        assert!(!agrees(text), "{text}");
        let want = serde_json::from_str::<Sample<'_>>(text).unwrap_err().to_string();
        let got = read_object(text, &mut Sample::default()).unwrap_err().to_string();
        assert_eq!(got, want, "{text}");
    }
}

#[test]
fn unusual_json_is_read_in_the_end() {
    let deep = |levels: usize| format!("{{\"a\":{}{}}}", "[".repeat(levels), "]".repeat(levels));
    let deep_raw = format!("{{\"raw\":{}1{}}}", "{\"b\":".repeat(100), "}".repeat(100));
    for text in [r#"{"a":"\ud83d\ude00"}"#, &deep(100), &deep_raw] {
        assert!(!agrees(text), "{text}");
        assert!(read_object(text, &mut Sample::default()).is_ok(), "{text}");
    }
    assert!(read_object(&deep(200), &mut Sample::default()).is_err());
}

#[test]
fn known_tails_hide_no_wanted_member() {
    let tail = format!(r#""x":[{}],"y":{{"text":"no"}},"z":1"#, "\"long\",".repeat(40) + "1");
    for text in [
        format!(r#"{{"inner":{{"text":"a",{tail}}}}}"#),
        format!(r#"{{"inner":{{"text":"a",{tail}}}}}"#),
        format!(r#"{{"inner":{{"text":"a",{tail} ,"text":"b"}}}}"#),
        format!(r#"{{"inner":{{"text":"a",{tail} }}}}"#),
        format!(r#"{{"other":{{"text":"a",{tail}}},"inner":[],"raw":{{"text":"a",{tail}}}}}"#),
        format!(r#"{{"inner":7,"a":{{"text":"a",{tail}}},"inner":{{"text":"a",{tail}}}}}"#),
        format!(r#"{{"inner":{{"text":"c",{tail}}},"inner":{{"text":"a",{tail}}}}}"#),
        format!(r#"{{"inner":{{{tail},"text":"a",{tail}}},"a":{{{tail}}}}}"#),
    ] {
        assert!(agrees(&text), "{text}");
        assert!(agrees(&text), "{text}");
    }
    assert!(!agrees(&format!(r#"{{"inner":{{"text":"a",{tail}]}}"#)));
}

const PARTS: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\"",
    "\\",
    "\"a\"",
    "\"raw\"",
    "\"inner\"",
    "\"list\"",
    "\"text\"",
    "\"a\":",
    "1",
    "-",
    "0",
    ".",
    "e",
    "+",
    "123456789012345678",
    "true",
    "null",
    "false",
    " ",
    "\n",
    "\t",
    "\u{0}",
    "é",
    "\\n",
    "\\u00",
    "\\u0041",
    "\\ud800",
    "{\"a\":1}",
    "[1,2]",
    "{\"raw\":",
    "{\"inner\":{\"t\":",
    "\"long enough text\"",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn any_text_is_read_as_serde_json_reads_it(parts in prop::collection::vec(prop::sample::select(PARTS), 0..14)) {
        let body = parts.concat();
        agrees(&body);
        agrees(&format!("{{\"a\":{body}}}"));
        agrees(&format!("{{\"raw\":{body}}}"));
        agrees(&format!("{{\"inner\":{{\"list\":[{body}]}}}}"));
    }

    #[test]
    fn a_changed_byte_is_read_as_serde_json_reads_it(at in 0_usize..200, byte in 0x20_u8..0x7f, length in 0_usize..3) {
        let mut text = r#"{"a":"x\/y","b":[1,-2.5e3,{"c":null}],"inner":{"text":"\u0041bc","list":["d",true]},"raw":{"e":[0,"\\"],"f":false}}"#
            .to_owned();
        let at = at.min(text.len() - 1);
        let end = (at + length).min(text.len());
        text.replace_range(at..end, std::str::from_utf8(&[byte]).unwrap());
        agrees(&text);
    }
}
