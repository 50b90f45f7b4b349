//! Claim files: what is ready becomes the encoded files of one claim.
//!
//! - In: final rows and rejects by place, and their records.
//! - Out: files with the folder in which each belongs.
//! - Keeps: the records of one hour.
//! - Invariants: every row that is ready is in exactly one file, or the claim fails as a whole.

use super::ready::{Ready, ReadyReject, ReadyRow, RejectKind};
use anyhow::{Context as _, Result, bail};
use bytes::Bytes;
use corridor_chain::{Day, Lane, Table};
use corridor_lake::chain::FileTarget;
use corridor_lake::scratch::Scratch;
use corridor_lake::{
    EncodedFile, LiveFileConfig, LiveRow, RejectRow, RollConfig, RollReason, live_files, live_reject_files,
};
use corridor_model::{EventId, Micros, Origin, RecordDigest, RejectCode, Rejection, Side};
use corridor_shard::Place;
use corridor_shard::record::{LoggedEvent, LoggedReject, ShardRecord};

/// A file and where it belongs.
#[derive(Debug)]
pub struct PlacedFile {
    /// Where.
    pub target: FileTarget,
    /// The file.
    pub file: EncodedFile,
}

/// What shapes the files.
#[derive(Debug, Clone, Copy)]
pub struct FileForm {
    /// The shard.
    pub shard: u32,
    /// When a file is closed before the rows end.
    pub roll: RollConfig,
    /// Why the claim is made.
    pub reason: RollReason,
}

/// Encodes everything that is ready.
pub fn claim_files(ready: &Ready, scratch: &Scratch, form: FileForm) -> Result<Vec<PlacedFile>> {
    let mut files = Vec::new();
    for (place, rows) in &ready.rows {
        let is_late = matches!(place, Place::Late(_));
        let config = LiveFileConfig { shard: form.shard, is_late, roll: form.roll, reason: form.reason };
        put(&mut files, *place, event_files(rows, scratch, &config)?)?;
    }
    for (hour, rejects) in &ready.rejects {
        let config =
            LiveFileConfig { shard: form.shard, is_late: false, roll: form.roll, reason: form.reason };
        put(&mut files, Place::Live(*hour), reject_files(rejects, &config)?)?;
    }
    Ok(files)
}

fn put(files: &mut Vec<PlacedFile>, place: Place, new: Vec<(Table, EncodedFile)>) -> Result<()> {
    let (lane, hour) = match place {
        Place::Live(hour) => (Lane::Live, hour),
        Place::Late(hour) => (Lane::Late, hour),
    };
    let day = Day::of(hour)?;
    let hour = u8::try_from(hour.0.rem_euclid(24)).context("hour of day")?;
    let placed =
        |(table, file)| PlacedFile { target: FileTarget { table, lane, day: day.clone(), hour }, file };
    files.extend(new.into_iter().map(placed));
    Ok(())
}

fn event_files(
    rows: &[ReadyRow],
    scratch: &Scratch,
    config: &LiveFileConfig,
) -> Result<Vec<(Table, EncodedFile)>> {
    let records: Vec<Bytes> = rows.iter().map(|row| record_of(row, scratch)).collect::<Result<_>>()?;
    let live = rows.iter().zip(&records).map(|(row, record)| live_row(row, record));
    Ok(live_files(live.collect::<Result<_>>()?, config)?)
}

fn record_of(row: &ReadyRow, scratch: &Scratch) -> Result<Bytes> {
    match &row.payload {
        Some(payload) => Ok(payload.clone()),
        None => {
            let record = scratch.get(row.offset)?;
            let record =
                record.with_context(|| format!("the record at offset {} is not kept", row.offset))?;
            Ok(record.into())
        }
    }
}

fn live_row<'r>(row: &ReadyRow, record: &'r Bytes) -> Result<LiveRow<'r>> {
    let event = event_of(record).with_context(|| format!("read the event at offset {}", row.offset))?;
    Ok(LiveRow {
        offset: row.offset,
        outcome: row.outcome.clone(),
        row: event.row,
        record: event.record,
        origin: event.path,
        directory_version: event.directory_version,
    })
}

fn event_of(record: &Bytes) -> Result<LoggedEvent<'_>> {
    match ShardRecord::decode(record)? {
        ShardRecord::Event(event) => Ok(event),
        _ => bail!("the log held an event there, and now it is something else"),
    }
}

/// A reject as its table takes it.
struct RejectParts {
    rejection: Rejection,
    side: Side,
    origin: Origin,
    record_index: u32,
    record_sha256: Option<RecordDigest>,
    event_id: Option<EventId>,
    event_time: Option<Micros>,
}

fn reject_files(rejects: &[ReadyReject], config: &LiveFileConfig) -> Result<Vec<(Table, EncodedFile)>> {
    let parts: Vec<RejectParts> =
        rejects.iter().map(|reject| reject_parts(reject, config.shard)).collect::<Result<_>>()?;
    let rows = parts.iter().map(|parts| RejectRow {
        rejection: &parts.rejection,
        side: parts.side,
        origin: &parts.origin,
        record_index: parts.record_index,
        record_sha256: parts.record_sha256.as_ref(),
        event_id: parts.event_id.as_ref(),
        event_time: parts.event_time,
    });
    Ok(live_reject_files(rows, config)?)
}

fn reject_parts(reject: &ReadyReject, shard: u32) -> Result<RejectParts> {
    match (reject.kind, ShardRecord::decode(&reject.payload)) {
        (RejectKind::Logged, Ok(ShardRecord::Reject(logged))) => Ok(logged_parts(&logged)),
        (RejectKind::Conflict { of }, Ok(ShardRecord::Event(event))) => Ok(conflict_parts(&event, of)),
        (RejectKind::Unreadable, _) => Ok(unreadable_parts(reject, shard)),
        _ => bail!("the log held a reject at offset {}, and now it is something else", reject.offset),
    }
}

fn logged_parts(logged: &LoggedReject<'_>) -> RejectParts {
    RejectParts {
        rejection: Rejection {
            code: logged.code,
            detail: logged.detail.into(),
            preview: logged.preview.into(),
        },
        side: logged.side,
        origin: Origin { file_index: 0, path: logged.path.into(), byte_offset: logged.byte_offset },
        record_index: logged.record_index,
        record_sha256: Some(logged.record_sha256),
        event_id: None,
        event_time: None,
    }
}

fn conflict_parts(event: &LoggedEvent<'_>, of: Option<u64>) -> RejectParts {
    let kept = of.map_or_else(
        || "an event of long ago".into(),
        |of| format!("the event at offset {of} of this shard"),
    );
    let row = corridor_lake::EventRow::read(event.row);
    RejectParts {
        rejection: Rejection {
            code: RejectCode::IdConflict,
            detail: format!(
                "the event id is that of {kept}, and the content is another; compare the two records"
            ),
            preview: String::new(),
        },
        side: event.facts.side,
        origin: Origin {
            file_index: 0,
            path: event.path.into(),
            byte_offset: row.map_or(0, |row| row.byte_offset()),
        },
        record_index: row.map_or(0, |row| row.record_index()),
        record_sha256: row.map(|row| row.record_sha256()),
        event_id: Some(event.facts.summary.event_id),
        event_time: Some(event.facts.summary.time),
    }
}

/// The log holds something that no worker wrote: it becomes a reject with its coordinates.
fn unreadable_parts(reject: &ReadyReject, shard: u32) -> RejectParts {
    let problem = ShardRecord::decode(&reject.payload).err();
    let detail = problem.map_or_else(String::new, |problem| problem.to_string());
    RejectParts {
        rejection: corridor_refine::reject(RejectCode::NotARecord, detail, &reject.payload),
        side: Side::Kong,
        origin: Origin { file_index: 0, path: format!("log:{shard}").into(), byte_offset: reject.offset },
        record_index: 0,
        record_sha256: Some(RecordDigest::of(&reject.payload)),
        event_id: None,
        event_time: None,
    }
}
