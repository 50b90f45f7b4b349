use super::*;
use crate::paths::Lane;

fn place() -> LivePlace {
    let day = Day::parse("2026-11-24").unwrap();
    LivePlace { table: Table::Events, lane: Lane::Live, day, hour: 7, shard: 3, seq: 17, part: 0 }
}

fn append() -> Append {
    Append {
        log: LogIdentity { cluster: "c1".into(), topic: "audit".into() },
        start: 100,
        end: 200,
        last: Some(LastRecord { offset: 199, sha256: ContentDigest::of(b"record") }),
        clock: Micros(1_000),
        floor: 50,
        open: OpenOffsets::Inline("150-152,160".into()),
        files: vec![ClaimedFile {
            table: Table::Events,
            staged: paths::stage_key("w1", 3, 1),
            path: place().key(),
            rows: 7,
            bytes: 900,
            sha256: ContentDigest::of(b"file"),
            rolled_by: "age".into(),
        }],
        totals: Totals::default(),
        sealed: [Day::parse("2026-11-20").unwrap()].into_iter().collect(),
        reason: ClaimReason::Age,
        directory_version: None,
    }
}

fn entry(body: Body) -> ChainEntry {
    ChainEntry {
        format: CHAIN_FORMAT,
        shard: 3,
        seq: 17,
        prev: Some(ContentDigest::of(b"before")),
        writer: WriterMark { id: "w1".into(), nonce: 4 },
        build: "0.1.0".into(),
        created_at: "2026-11-24T08:00:00.123456Z".parse().unwrap(),
        body,
    }
}

fn changed(from: &str, to: &str) -> Result<ChainEntry, EntryError> {
    let text = String::from_utf8(entry(Body::Append(append())).to_bytes()).unwrap();
    assert!(text.contains(from), "{from} is in {text}");
    ChainEntry::parse(text.replacen(from, to, 1).as_bytes(), 3, 17)
}

#[test]
fn a_claim_has_the_documented_json() {
    let bytes = entry(Body::Append(append())).to_bytes();
    let value: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
    assert_eq!(value["body"]["kind"], "append");
    assert_eq!(value["body"]["open"]["inline"], "150-152,160");
    assert_eq!(value["body"]["sealed"][0], "2026-11-20");
    assert_eq!(value["body"]["files"][0]["path"], place().key());
    assert_eq!(value["writer"]["id"], "w1");
    assert_eq!(value["prev"].as_str().unwrap().len(), 64);
}

#[test]
fn every_kind_survives_the_round_trip() {
    let date = Day::parse("2026-11-24").unwrap();
    let bodies = [
        Body::Append(append()),
        Body::Seal(Seal { date: date.clone(), generation: Generation::FIRST }),
        Body::Gap(Gap { from: 1, to: 2, reason: "retention".into(), by: "ana".into() }),
        Body::Expire(Expire { date, policy: "7 years".into(), by: "ana".into() }),
    ];
    for body in bodies {
        let entry = entry(body);
        assert_eq!(ChainEntry::parse(&entry.to_bytes(), 3, 17).unwrap(), entry);
    }
    let log = LogIdentity { cluster: "c".into(), topic: "t".into() };
    let start = Body::Start(Start { shard_count: 6, log, begin: 0 });
    let start = ChainEntry { seq: 0, prev: None, ..entry(start) };
    assert_eq!(ChainEntry::parse(&start.to_bytes(), 3, 0).unwrap(), start);
}

#[test]
fn a_later_format_is_named_and_not_called_broken() {
    let error = changed("\"format\": 1", "\"format\": 2").unwrap_err();
    assert!(matches!(error, EntryError::Newer { found: 2 }), "{error}");
}

#[test]
fn unknown_kinds_and_fields_are_refused() {
    for (from, to) in [
        ("\"append\"", "\"merge\""),
        ("\"floor\"", "\"flour\""),
        ("\"build\"", "\"x\": 1, \"build\""),
        ("\"floor\"", "\"x\": 1, \"floor\""),
        ("\"inline\"", "\"outline\""),
        ("\"nonce\"", "\"x\": 1, \"nonce\""),
    ] {
        assert!(matches!(changed(from, to), Err(EntryError::Shape(_))), "{from} as {to}");
    }
}

#[test]
fn an_entry_that_contradicts_itself_or_its_key_is_refused() {
    let long = format!("\"prev\": \"{}\"", ContentDigest::of(b"before"));
    for (from, to) in [
        ("\"seq\": 17", "\"seq\": 18"),
        ("\"shard\": 3", "\"shard\": 4"),
        (long.as_str(), "\"prev\": null"),
        ("\"end\": 200", "\"end\": 99"),
        ("\"floor\": 50", "\"floor\": 201"),
        ("\"offset\": 199", "\"offset\": 200"),
        ("stage/w1", "events/w1"),
        ("s00003-00000000000000000017-00000", "s00003-00000000000000000018-00000"),
        ("\"table\": \"events\"", "\"table\": \"records\""),
    ] {
        assert!(matches!(changed(from, to), Err(EntryError::Contradiction(_))), "{from} as {to}");
    }
}

#[test]
fn a_claim_with_more_than_64_files_is_refused() {
    let mut append = append();
    let file = append.files[0].clone();
    append.files = (0..65)
        .map(|part| ClaimedFile { path: LivePlace { part, ..place() }.key(), ..file.clone() })
        .collect();
    let bytes = entry(Body::Append(append)).to_bytes();
    assert!(matches!(ChainEntry::parse(&bytes, 3, 17), Err(EntryError::Contradiction(_))));
}

#[test]
fn a_long_open_set_lies_beside_its_entry() {
    let short = OpenSet::from_sorted(0..1_000).unwrap();
    assert_eq!(OpenOffsets::place(&short, 3, 17), (OpenOffsets::Inline("0-999".into()), None));
    let long = OpenSet::from_sorted((0..1_000).step_by(2)).unwrap();
    let (place, bytes) = OpenOffsets::place(&long, 3, 17);
    let bytes = bytes.unwrap();
    assert_eq!(OpenSet::parse_bytes(&bytes).unwrap(), long);
    let sha256 = ContentDigest::of(&bytes);
    assert_eq!(place, OpenOffsets::Beside { path: paths::open_set_key(3, 17, sha256), count: 500, sha256 });
}

#[test]
fn an_accepted_loss_is_part_of_the_equation() {
    let ledger = Ledger { records_in: 10, rows: 5, duplicates: 1, rejects: 1, pending: 1 };
    assert!(Totals { ledger, lost: 2, ..Totals::default() }.is_conserved());
    assert!(!Totals { ledger, ..Totals::default() }.is_conserved());
}
