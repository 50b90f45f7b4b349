//! Measures how fast one core gathers and encodes evidence rows:
//! `cargo run --release -p corridor-lake --example encode_speed -- <rows> <rounds>`.
//!
//! - In: synthetic events of both sides with about 45 columns set, two thirds of them from Kong.
//! - Out: rows per second, best of the rounds. Run it on an idle machine.
#![expect(clippy::print_stdout, reason = "a measurement is printed")]

use corridor_chain::Table;
use corridor_lake::{
    EncodeError, EventRows, FileRoller, FinalRow, RollConfig, RowBatch, StoredRows, evidence_batches,
};
use corridor_model::join::{JoinConfidence, JoinMethod};
use corridor_model::{
    CorrelationOrigin, DeniedBy, Event, EventId, Finding, FindingSet, IdentityMatch, JoinOutcome, JoinState,
    Micros, Origin, PeerSummary, PeerTexts, ReasonBasis, ReasonCode, RecordDigest, Source, Verdict,
};
use std::sync::Arc;
use std::time::{Duration, Instant};

const BATCH_ROWS: usize = 8192;

struct Rng(u64);
impl Rng {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
    fn below(&mut self, n: u64) -> u64 {
        let a = self.next() % n;
        let b = self.next() % n;
        a.min(b).min(self.next() % n)
    }
    fn uuid(&mut self) -> String {
        let (a, b) = (self.next(), self.next());
        format!(
            "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
            a >> 32,
            a >> 16 & 0xffff,
            a & 0xffff,
            b >> 48,
            b & 0xffff_ffff_ffff
        )
    }
}

macro_rules! text {
    ($event:ident, $($column:ident = $value:expr),* $(,)?) => { $($event.$column = Some(($value).into());)* };
}

fn fill(i: u64, rng: &mut Rng) -> Event<'static> {
    let id = EventId::from_natural_key("b", &[&i.to_string()]);
    let time = Micros(1_772_614_800_000_000 + i as i64 * 36_000 + (rng.next() % 20_000) as i64);
    let is_kong = !i.is_multiple_of(3);
    let mut e = if is_kong {
        Event::new(Source::Kong, "http".into(), id, time)
    } else {
        Event::new(Source::Synapse, "IntegrationActivityRuns".into(), id, time)
    };
    e.record_sha256 = RecordDigest::of(&i.to_le_bytes());
    e.correlation_origin = CorrelationOrigin::Client;
    let user = rng.below(5000);
    let route = rng.below(200);
    text! { e,
        correlation_id = rng.uuid(), pipeline_run_id = format!("{:032x}", rng.below(20_000)),
        principal_id = format!("72f988bf-86f1-41af-91ab-2d7cd011db47/{:08x}-0000-4000-8000-000000000000", user),
        principal_type = "managed_identity", principal_name = format!("app-{user}"),
        tenant_id = "72f988bf-86f1-41af-91ab-2d7cd011db47",
        object_id = format!("{user:08x}-0000-4000-8000-000000000000"), app_id = format!("{user:08x}-1111-4000-8000-000000000000"),
        identity_basis = "verified", http_method = (["GET", "POST", "PUT"][rng.below(3) as usize]),
        url_host = "api.contoso.example", url_path = format!("/v1/tenants/{}/orders/{}", route, rng.below(100_000)),
        extra = format!("{{\"runtime\":\"AutoResolve\",\"x\":{route}}}"),
    }
    e.http_status = Some([200, 200, 200, 401, 403][rng.below(5) as usize]);
    if is_kong {
        fill_kong(&mut e, user, route, rng);
    } else {
        fill_activity(&mut e, user, route, rng);
    }
    e
}

fn fill_kong(e: &mut Event<'static>, user: u64, route: u64, rng: &mut Rng) {
    text! { e,
        request_id = format!("{:016x}{:016x}", rng.next(), rng.next()), trace_id = format!("{:016x}{:016x}", rng.next(), rng.next()),
        consumer_id = format!("{user:08x}-2222-4000-8000-000000000000"), consumer_name = format!("consumer-{user}"),
        credential_id = format!("{user:08x}-3333-4000-8000-000000000000"), auth_method = "jwt",
        query_names = "api-version,top", route = format!("route-{route}"), service = format!("service-{}", route / 4),
        upstream_status = "200", response_source = "upstream", client_ip = format!("10.{}.{}.{}", user % 200, route, user % 250),
        user_agent = "azure-synapse/1", tls_version = "TLSv1.3", gateway_workspace = "default",
    }
    e.upstream_tries = Some(1);
    e.static_credential = Some(false);
    e.request_bytes = Some(500 + rng.below(3000) as i64);
    e.response_bytes = Some(500 + rng.below(30_000) as i64);
    e.latency_ms = Some(rng.below(900) as i64);
    e.gateway_latency_ms = Some(rng.below(9) as i64);
    e.upstream_latency_ms = Some(rng.below(800) as i64);
    e.receive_latency_ms = Some(rng.below(9) as i64);
    e.token_issued_at = Some(Micros(e.event_time.0 - 1_000_000_000 - user as i64 * 1_000_000));
    e.token_expires_at = Some(Micros(e.event_time.0 + 1_000_000_000));
}

fn fill_activity(e: &mut Event<'static>, user: u64, route: u64, rng: &mut Rng) {
    text! { e,
        azure_correlation_id = rng.uuid(), activity_run_id = rng.uuid(), workspace = format!("ws{}", user % 20),
        resource_id = format!("/subscriptions/11111111-2222-3333-4444-555555555555/resourcegroups/rg/providers/microsoft.synapse/workspaces/ws{}", user % 20),
        operation = format!("activity{} - Succeeded", route % 40), result_type = "Succeeded", result_code = "OK",
        pipeline_name = format!("pipeline{}", route % 40), activity_name = format!("activity{route}"), activity_type = "WebActivity",
    }
    e.activity_start = Some(e.event_time);
    e.activity_end = Some(Micros(e.event_time.0 + 2_000_000));
    e.duration_ms = Some(2000 + rng.below(1000) as i64);
}

fn outcome(i: u64, rng: &mut Rng) -> JoinOutcome {
    let matched = i % 5 < 2;
    JoinOutcome {
        state: if matched { JoinState::Matched } else { JoinState::Unmatched },
        method: matched.then_some(JoinMethod::CorrelationId),
        confidence: matched.then_some(JoinConfidence::Exact),
        peer: matched.then(|| PeerSummary {
            event_id: EventId::from_natural_key("b", &[&(i + 1).to_string()]),
            time: Micros(1_772_614_800_000_000 + i as i64 * 36_000),
            texts: PeerTexts::new(
                "http",
                Some(&format!("POST /v1/tenants/{}/orders", rng.below(200))),
                Some("200"),
                Some(&format!(
                    "72f988bf-86f1-41af-91ab-2d7cd011db47/{:08x}-0000-4000-8000-000000000000",
                    rng.below(5000)
                )),
            ),
        }),
        peer_count: u32::from(matched),
        identity_match: matched.then_some(IdentityMatch::Equal),
        verdict: if i.is_multiple_of(40) {
            Verdict::denied(ReasonCode::AuthFailed, ReasonBasis::Status, DeniedBy::Gateway)
        } else {
            Verdict::ALLOWED
        },
        findings: if i.is_multiple_of(10) {
            [Finding::StaticCredential].into_iter().collect()
        } else {
            FindingSet::EMPTY
        },
    }
}

/// Events in batches of 8192, and how long that took.
fn build(rows: u64, rng: &mut Rng) -> (StoredRows, Duration) {
    let path: Arc<str> = "kong/2026/03/04/kong-0001.ndjson.gz".into();
    let events: Vec<_> = (0..rows).map(|index| fill(index, rng)).collect();
    let start = Instant::now();
    let version: Arc<str> = "0123456789abcdef0123456789abcdef".into();
    let mut builder = EventRows::default();
    let mut batches = vec![];
    for (index, event) in events.iter().enumerate() {
        let origin = Origin { file_index: 0, path: path.clone(), byte_offset: index as u64 * 2500 };
        builder.append(event, &origin, Some(&version));
        if builder.len() == BATCH_ROWS {
            batches.push(std::mem::take(&mut builder));
        }
    }
    batches.push(builder);
    let rows: Vec<&RowBatch> = batches.iter_mut().map(EventRows::finish).collect();
    (StoredRows::of(rows), start.elapsed())
}

fn encode(events: &StoredRows, order: &[FinalRow], outcomes: &[JoinOutcome]) -> Result<usize, EncodeError> {
    let mut roller = FileRoller::new(Table::Events, RollConfig::default());
    let mut byte_count = 0;
    for batch in evidence_batches(events, order, outcomes, BATCH_ROWS) {
        byte_count += roller.write(&batch?)?.map_or(0, |file| file.bytes.len());
    }
    Ok(byte_count + roller.finish()?.map_or(0, |file| file.bytes.len()))
}

fn main() -> Result<(), EncodeError> {
    let argument =
        |index, default| std::env::args().nth(index).and_then(|text| text.parse().ok()).unwrap_or(default);
    let (rows, rounds) = (argument(1, 100_000), argument(2, 5));
    let mut rng = Rng(0x9e37_79b9_7f4a_7c15);
    let (events, build_time) = build(rows, &mut rng);
    let row_at = |index| FinalRow {
        batch: (index / BATCH_ROWS as u64) as u32,
        row: (index % BATCH_ROWS as u64) as u32,
    };
    let order: Vec<_> =
        (0..rows).map(|index| row_at(if index ^ 3 < rows { index ^ 3 } else { index })).collect();
    let outcomes: Vec<_> = (0..rows).map(|index| outcome(index, &mut rng)).collect();
    let (mut gather_time, mut encode_time, mut byte_count) = (Duration::MAX, Duration::MAX, 0);
    for _ in 0..rounds {
        let start = Instant::now();
        for batch in evidence_batches(&events, &order, &outcomes, BATCH_ROWS) {
            batch?;
        }
        gather_time = gather_time.min(start.elapsed());
        let start = Instant::now();
        byte_count = encode(&events, &order, &outcomes)?;
        encode_time = encode_time.min(start.elapsed());
    }
    let rate = |time: Duration| rows as f64 / time.as_secs_f64() / 1e3;
    println!(
        "build {:.0} krows/s, gather {:.0} krows/s, gather+encode+digest {:.0} krows/s, {:.0} bytes/row",
        rate(build_time),
        rate(gather_time),
        rate(encode_time),
        byte_count as f64 / rows as f64
    );
    Ok(())
}
