//! What the lake writes is what the independent readers and the T-SQL expect: one pair of events, by the real writer.

use corridor_chain::paths::{Day, FilePlace, Generation, Table};
use corridor_lake::columns::evidence_columns;
use corridor_lake::{
    EventRows, FileRoller, FinalRow, RollConfig, RowBatch, StoredRows, evidence_batches, record_batches,
    seed_file,
};
use corridor_model::{
    CorrelationOrigin, DeniedBy, Event, EventId, FindingSet, IdentityMatch, JoinConfidence, JoinMethod,
    JoinOutcome, JoinState, Micros, Origin, PeerSummary, PeerTexts, ReasonBasis, ReasonCode, Source, Verdict,
};
use corridor_tests::python::python_succeeds;
use std::fs;
use std::path::Path;

/// 2026-03-04T09:00:00Z.
const HOUR_START: i64 = 1_772_614_800_000_000;

fn kong_event() -> Event<'static> {
    let id = EventId::from_natural_key("test", &["kong"]);
    let mut event = Event::new(Source::Kong, "http".into(), id, Micros(HOUR_START + 1));
    event.correlation_origin = CorrelationOrigin::Gateway;
    event.correlation_id = Some("c1".into());
    event.route = Some("orders".into());
    event.principal_id = Some("ana".into());
    event.http_status = Some(403);
    event.static_credential = Some(true);
    event.token_expires_at = Some(Micros(HOUR_START + 7));
    event.url_path = Some("/größe/😀".into());
    event
}

fn activity() -> Event<'static> {
    let id = EventId::from_natural_key("test", &["activity"]);
    let mut event = Event::new(Source::Synapse, "IntegrationActivityRuns".into(), id, Micros(HOUR_START + 2));
    event.correlation_origin = CorrelationOrigin::Synapse;
    event.duration_ms = Some(12);
    event
}

fn outcome(peer: &Event<'_>, basis: ReasonBasis) -> JoinOutcome {
    JoinOutcome {
        state: JoinState::Matched,
        method: Some(JoinMethod::RequestId),
        confidence: Some(JoinConfidence::Exact),
        peer: Some(PeerSummary {
            event_id: peer.event_id,
            time: peer.event_time,
            texts: PeerTexts::new(&peer.category, None, None, None),
        }),
        peer_count: 1,
        identity_match: Some(IdentityMatch::Unknown),
        verdict: Verdict::denied(ReasonCode::AuthzAcl, basis, DeniedBy::Gateway),
        findings: FindingSet::EMPTY,
    }
}

fn put(lake: &Path, key: &str, bytes: &[u8]) {
    let path = lake.join(key);
    fs::create_dir_all(path.parent().expect("keys have folders")).expect("the lake is writable");
    fs::write(path, bytes).expect("the lake is writable");
}

fn put_batch(lake: &Path, table: Table, batch: &arrow_array::RecordBatch) {
    let mut roller = FileRoller::new(table, RollConfig::default());
    roller.write(batch).expect("the batch has the schema of its table");
    let file = roller.finish().expect("the file closes").expect("there are rows");
    let day = Day::parse("2026-03-04").expect("a day");
    let place = FilePlace { table, generation: Generation::FIRST, day, hour: 9, part: 0 };
    put(lake, &place.key(), &file.bytes);
}

fn write_lake(lake: &Path) {
    for table in Table::ALL {
        let seed = seed_file(table).expect("a seed encodes");
        put(lake, &format!("{table}/gen=000/date=1900-01-01/hour=00/seed.parquet"), &seed);
    }
    put(
        lake,
        "seals/date=2026-03-04/gen=001.csv",
        b"date,gen,activate_at\n2026-03-04,001,2026-03-05 00:00:00\n",
    );
    let events = [kong_event(), activity()];
    let mut builder = EventRows::default();
    let mut records = RowBatch::default();
    for event in &events {
        let origin = Origin { file_index: 0, path: "in.ndjson".into(), byte_offset: 0 };
        builder.append(event, &origin, Some(&"directory-1".into()));
        records.push_with(|bytes| bytes.extend_from_slice(b"{}"));
    }
    let (events_rows, record_rows) = (StoredRows::of([builder.finish()]), StoredRows::of([&records]));
    let rows = [FinalRow { batch: 0, row: 0 }, FinalRow { batch: 0, row: 1 }];
    let outcomes = [outcome(&events[1], ReasonBasis::Status), outcome(&events[0], ReasonBasis::Join)];
    for batch in evidence_batches(&events_rows, &rows, &outcomes, 1024) {
        put_batch(lake, Table::Events, &batch.expect("rows gather"));
    }
    for batch in record_batches(&events_rows, &record_rows, &rows, 1024) {
        put_batch(lake, Table::Records, &batch.expect("rows gather"));
    }
}

#[test]
fn independent_readers_accept_the_real_writer() {
    let lake = tempfile::tempdir().expect("a temporary folder can be made");
    write_lake(lake.path());
    let truth = lake.path().with_extension("truth.json");
    let text = r#"{"rows": 2, "rows_by_decision": {"denied": 2}, "rows_by_reason": {"AUTHZ_ACL": 2},
        "rows_by_hour": {"2026-03-04T09": {"kong": 1, "azure": 1}},
        "kong": {"rows": 1, "matched": 1, "matched_by_method": {"request_id": 1}, "static_credential": 1, "rejects": 0},
        "canaries": ["planted-secret"]}"#;
    fs::write(&truth, text).expect("the folder is writable");
    python_succeeds("readers/check_lake.py", [lake.path(), &truth]);
    let answers = python_succeeds("readers/evidence_queries.py", [lake.path()]);
    fs::remove_file(&truth).expect("it was written above");
    let answers: serde_json::Value = serde_json::from_str(&answers).expect("the script prints JSON");
    assert_eq!(answers["EQ-01"]["list"]["rows"], 2);
    assert_eq!(answers["EQ-05"]["summary"]["first"][0]["measurable"], "no");
}

macro_rules! declare_texts {
    (text: [$($text:ident),*] bool: [$($bool:ident),*] int: [$($int:ident),*] long: [$($long:ident),*] time: [$($time:ident),*]) => {
        const TEXTS: &[&str] = &["category", $(stringify!($text)),*];
    };
}
corridor_model::for_each_event_column!(declare_texts);

#[test]
fn texts_are_cut_to_the_limits_of_the_contract() {
    for name in TEXTS {
        let column = evidence_columns().iter().find(|column| column.name == *name);
        let limit = column.and_then(|column| column.max_length);
        assert_eq!(limit, Some(corridor_refine::column_limit::bytes_max(name)), "{name}");
    }
}
