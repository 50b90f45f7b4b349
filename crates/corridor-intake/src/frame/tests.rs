use super::*;
use proptest::prelude::*;

fn frames_of(input: impl Read) -> Vec<(String, u64, u32, Option<Defect>)> {
    let mut reader = FrameReader::new(input);
    let mut out = Vec::new();
    while let Some(chunk) = reader.next_chunk().unwrap() {
        out.extend(chunk.frames().map(|frame| {
            (String::from_utf8_lossy(frame.bytes).into_owned(), frame.byte_offset, frame.index, frame.defect)
        }));
    }
    out
}

fn texts(input: &str) -> Vec<String> {
    frames_of(input.as_bytes()).into_iter().map(|frame| frame.0).collect()
}

#[test]
fn lines_keep_their_offsets_and_blank_ones_are_left_out() {
    let got = frames_of("\u{feff}{\"a\":1}\r\n\n{\"b\":2}".as_bytes());
    assert_eq!(got, [("{\"a\":1}\r".into(), 3, 0, None), ("{\"b\":2}".into(), 13, 0, None)]);
    assert!(frames_of(&b""[..]).is_empty());
    assert!(frames_of(&b"\n \n"[..]).is_empty());
}

#[test]
fn pretty_documents_are_cut_at_their_records() {
    assert_eq!(texts("{\n \"a\": 1\n}\n{\n \"b\": [\n2]}\n"), ["{\n \"a\": 1\n}", "{\n \"b\": [\n2]}"]);
    assert_eq!(texts("{\n\"records\": [\n{\"a\":1},\n{\"b\":2}\n]\n}\n"), ["{\"a\":1}", "{\"b\":2}"]);
    assert_eq!(texts("[\n{\"a\":1},\n{\"b\":2}\n]"), ["{\"a\":1}", "{\"b\":2}"]);
}

#[test]
fn document_cut_off_gives_its_complete_records_and_one_defect() {
    let got = frames_of("{\n\"records\": [\n{\"a\":1},\n{\"b\":".as_bytes());
    let got: Vec<_> = got.into_iter().map(|frame| (frame.0, frame.3)).collect();
    assert_eq!(got, [("{\"a\":1}".into(), None), ("{\"b\":".into(), Some(Defect::Truncated))]);
}

#[test]
fn torn_first_line_does_not_take_the_next_one_along() {
    assert_eq!(texts("{\"a\":1,\n{\"b\":2}\n{\"c\":3}\n"), ["{\"a\":1,", "{\"b\":2}", "{\"c\":3}"]);
}

#[test]
fn long_array_on_one_line_is_read_record_by_record() {
    let record = format!("{{\"a\":\"{}\"}}", "x".repeat(1_000_000));
    let line = format!("[{}]\n{{\"after\":1}}\n", vec![record.clone(); 20].join(","));
    let got = frames_of(line.as_bytes());
    assert_eq!(got.len(), 21);
    assert_eq!((got[19].0.as_str(), got[19].2), (record.as_str(), 19));
    assert_eq!(got[20].0, "{\"after\":1}");
}

#[test]
fn record_above_the_limit_is_one_defect_and_the_rest_is_read() {
    let huge = "y".repeat(RECORD_BYTES_MAX * 2);
    let cases = [
        format!("{{\"a\":1}}\n{huge}\n{{\"b\":2}}\n"),
        format!("{{\"a\":1}}\n{{\"huge\":\"{huge}\"}}\n{{\"b\":2}}\n"),
        format!("[{{\"a\":1}},{{\"huge\":\"{huge}\"}},{{\"b\":2}}]\n"),
    ];
    for (number, case) in cases.iter().enumerate() {
        let got = frames_of(case.as_bytes());
        let shape: Vec<_> = got.iter().map(|frame| (frame.0.len() < 10, frame.3)).collect();
        assert_eq!(shape, [(true, None), (false, Some(Defect::TooLarge)), (true, None)], "case {number}");
        assert!(got[1].0.len() <= HEAD_BYTES);
    }
}

/// Hands out the bytes in small, uneven cuts.
struct Dribble<'a>(&'a [u8], usize);

impl Read for Dribble<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.1 = self.1 * 7 % 11 + 1;
        let count = self.0.len().min(buffer.len()).min(self.1);
        buffer[..count].copy_from_slice(&self.0[..count]);
        self.0 = &self.0[count..];
        Ok(count)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_bytes_are_framed_without_loss(bytes in prop::collection::vec(prop_oneof![any::<u8>(), Just(b'\n'), Just(b'{'), Just(b'"')], 0..300)) {
        let mut reader = FrameReader::new(Dribble(&bytes, 1));
        let mut total = 0;
        while let Some(chunk) = reader.next_chunk().unwrap() {
            for frame in chunk.frames() {
                let start = frame.byte_offset as usize;
                prop_assert_eq!(frame.bytes, &bytes[start..start + frame.bytes.len()]);
                total += frame.bytes.len();
            }
        }
        prop_assert!(total <= bytes.len());
    }

    #[test]
    fn lines_come_back_as_written(values in prop::collection::vec("[a-z0-9{}\\[\\],\" ]{1,40}", 1..20)) {
        let lines: Vec<_> = values.iter().map(|value| format!("{{\"v\":{}}}", serde_json_string(value))).collect();
        prop_assert_eq!(texts(&lines.join("\n")), lines);
    }
}

fn serde_json_string(text: &str) -> String {
    format!("\"{}\"", text.replace('"', "\\\""))
}
