//! Log records: what one delivery becomes in the log.
//!
//! - In: a delivery, and the directory and rules of now.
//! - Out: one log record for each event and each reject at its home shard, and a hint for every other shard for each Azure
//!   event that can have a partner.
//! - Invariants: every record inside the delivery gives exactly one event or reject. Everything is redacted.

use bytes::Bytes;
use corridor_intake::delivery::{Accepted, Defect, DefectKind, Delivery};
use corridor_intake::log::NewRecord;
use corridor_lake::{content_digest, write_alone};
use corridor_model::{RecordDigest, RejectCode, Rejection, Side};
use corridor_refine::join::home_shard;
use corridor_refine::{Context, Outcome, Refined, redact, refine};
use corridor_shard::record::{LoggedEvent, LoggedReject, encode_event, encode_hint, encode_reject};

/// Preview of every reject when client IPs and user names are to be pseudonyms.
const PREVIEW_WITHHELD: &str = "withheld, because pseudonyms are on";

/// What shapes the records of the log beside the deliveries.
#[derive(Debug, Clone, Copy)]
pub struct LogForm {
    /// Number of shards.
    pub shard_count: u32,
    /// Whether redacted originals travel along.
    pub keeps_records: bool,
    /// Bytes of the longest record that the log takes.
    pub record_bytes_max: usize,
}

/// Bytes of log records that are handed on together: a body of many small records becomes several times as long.
const PORTION_BYTES: usize = 4 << 20;

/// Takes portions of records as they are made.
pub type Portions<'p> = &'p mut dyn FnMut(Vec<NewRecord>);

/// Refines a delivery.
pub fn log_records(
    delivery: &Delivery,
    context: &Context,
    form: LogForm,
    portions: Portions<'_>,
) -> Accepted {
    let mut builder = Builder::new(delivery, context, form, portions);
    refine(delivery.side, &delivery.body, context, &mut |outcome| match outcome {
        Outcome::Event(refined, text) => builder.event(*refined, text),
        Outcome::Rejected(rejection, index) => builder.reject(rejection, index),
    });
    builder.finish()
}

/// Refines what could be read of a delivery, and makes one reject of its defect. Nothing of a damaged body is evidence.
pub fn broken_log_records(
    delivery: &Delivery,
    defect: &Defect,
    context: &Context,
    form: LogForm,
    portions: Portions<'_>,
) -> Accepted {
    let mut builder = Builder::new(delivery, context, form, portions);
    // The reject for the end of a cut body says less than the defect does, and stands for the same bytes.
    let mut end = None;
    if defect.kind.keeps_records() {
        refine(delivery.side, &delivery.body, context, &mut |outcome| {
            if let Some((rejection, index)) = end.take() {
                builder.reject(rejection, index);
            }
            match outcome {
                Outcome::Event(refined, text) => builder.event(*refined, text),
                Outcome::Rejected(rejection, index) => end = Some((rejection, index)),
            }
        });
    }
    let code = match defect.kind {
        DefectKind::TooLarge => RejectCode::RecordTooLarge,
        DefectKind::CutOff => RejectCode::Truncated,
        DefectKind::Corrupt | DefectKind::UnknownEncoding => RejectCode::NotJson,
    };
    let (preview, index) = match end {
        Some((rejection, index)) => (rejection.preview, index),
        None => (corridor_refine::reject(code, "", &delivery.body).preview, 0),
    };
    builder.reject(Rejection { code, detail: defect.detail.clone(), preview }, index);
    builder.finish()
}

/// Memory that is used again for each event.
#[derive(Default)]
struct Buffers {
    row: Vec<u8>,
    record: Vec<u8>,
}

struct Builder<'d> {
    delivery: &'d Delivery,
    context: &'d Context,
    form: LogForm,
    portions: Portions<'d>,
    records: Vec<NewRecord>,
    record_bytes: usize,
    accepted: Accepted,
    buffers: Buffers,
    /// Of the whole body; made when the first reject needs it.
    body_digest: Option<RecordDigest>,
}

impl<'d> Builder<'d> {
    fn new(delivery: &'d Delivery, context: &'d Context, form: LogForm, portions: Portions<'d>) -> Self {
        Self {
            delivery,
            context,
            form,
            portions,
            records: Vec::new(),
            record_bytes: 0,
            accepted: Accepted::default(),
            buffers: Buffers::default(),
            body_digest: None,
        }
    }

    fn finish(mut self) -> Accepted {
        self.hand_on();
        self.accepted
    }

    fn hand_on(&mut self) {
        if !self.records.is_empty() {
            self.record_bytes = 0;
            (self.portions)(std::mem::take(&mut self.records));
        }
    }

    fn event(&mut self, refined: Refined<'_>, text: &str) {
        let Refined { mut event, facts, .. } = refined;
        event.received_time = Some(self.delivery.received_time);
        let (delivery, context) = (self.delivery, self.context);
        let mut buffers = std::mem::take(&mut self.buffers);
        let Buffers { row, record } = &mut buffers;
        row.clear();
        write_alone(&event, delivery.origin.byte_offset, row);
        record.clear();
        if self.form.keeps_records {
            redact::record(delivery.side, text, context.pseudonyms.as_ref(), record);
        }
        let home = home_shard(&facts, self.form.shard_count);
        // A record that is too long for the log is left out of `records`; its event has its row all the same.
        let fits = row.len() + record.len() + ROOM_FOR_FACTS <= self.form.record_bytes_max;
        let logged = LoggedEvent {
            content: content_digest(row),
            row,
            record: (self.form.keeps_records && fits).then_some(&**record),
            path: &delivery.origin.path,
            directory_version: context.directory.version(),
            facts,
        };
        let mut payload = Vec::with_capacity(row.len() + record.len() + ROOM_FOR_FACTS);
        encode_event(&logged, &mut payload);
        let key = Bytes::copy_from_slice(&logged.facts.summary.event_id.0);
        self.accepted.events += 1;
        self.hints(&logged, home);
        self.push(NewRecord { shard: home, key, payload: payload.into() });
        self.buffers = buffers;
    }

    /// An Azure event that can have a partner is announced to every other shard.
    fn hints(&mut self, logged: &LoggedEvent<'_>, home: u32) {
        let facts = &logged.facts;
        if facts.side != Side::Azure || !facts.is_eligible || self.form.shard_count < 2 {
            return;
        }
        let mut hint = Vec::new();
        encode_hint(facts, home, &mut hint);
        let hint = Bytes::from(hint);
        let key = Bytes::copy_from_slice(&facts.summary.event_id.0);
        for shard in (0..self.form.shard_count).filter(|shard| *shard != home) {
            self.push(NewRecord { shard, key: key.clone(), payload: hint.clone() });
        }
    }

    fn reject(&mut self, mut rejection: Rejection, index: u32) {
        if self.context.pseudonyms.is_some() {
            // What could not be read cannot be searched for addresses and names either.
            rejection.preview = PREVIEW_WITHHELD.into();
        }
        let origin = &self.delivery.origin;
        let body = &self.delivery.body;
        let digest = *self.body_digest.get_or_insert_with(|| RecordDigest::of(body));
        let logged = LoggedReject {
            code: rejection.code,
            detail: &rejection.detail,
            preview: &rejection.preview,
            side: self.delivery.side,
            path: &origin.path,
            byte_offset: origin.byte_offset,
            record_index: index,
            record_sha256: digest,
            received_time: self.delivery.received_time,
        };
        let mut payload = Vec::new();
        encode_reject(&logged, &mut payload);
        self.accepted.rejects += 1;
        let home = u32::from_be_bytes([digest.0[0], digest.0[1], digest.0[2], digest.0[3]])
            % self.form.shard_count.max(1);
        let key = Bytes::copy_from_slice(&digest.0);
        self.push(NewRecord { shard: home, key, payload: payload.into() });
    }

    fn push(&mut self, record: NewRecord) {
        self.record_bytes += record.payload.len();
        self.records.push(record);
        if self.record_bytes >= PORTION_BYTES {
            self.hand_on();
        }
    }
}

/// Bytes of an event in the log beside its row and its record, generously.
const ROOM_FOR_FACTS: usize = 2_048;
