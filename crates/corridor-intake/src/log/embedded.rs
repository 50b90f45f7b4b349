//! Embedded log: a folder of this machine, for one process.
//!
//! - In: appends of many tasks.
//! - Out: each shard's records, after a restart the same ones with the same offsets and append times.
//! - Keeps: an open file for each segment, one group in memory; on disk at most the configured bytes.
//! - Invariants: one sync makes all waiting appends durable, and each of them returns only after it. An append is kept whole or not at all.
//!   What cannot be stored is refused and never dropped. The reasons for a log of our own are in `docs/adr/0006-embedded-log.md`.

mod format;

mod disk;

mod identity;

mod floors;

mod segment;

mod recovery;

mod writer;

mod reader;

#[cfg(test)]
mod tests;

use self::disk::{Disk, RealDisk};
use self::format::GroupHeader;
use self::reader::EmbeddedReader;
use self::segment::{Shared, State};
use self::writer::{Append, Request, Room, Writer};
use super::{Bounds, Log, LogError, LogIdentity, LogReader, NewRecord};
use async_trait::async_trait;
use corridor_model::Micros;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use tokio::sync::{mpsc, oneshot, watch};

/// The longest payload of a record.
pub const PAYLOAD_BYTES_MAX: usize = 32 << 20;
/// The most shards of a log.
pub const SHARD_COUNT_MAX: u32 = 65_536;
/// Appends that wait for the writer. Their records are in the memory of their callers already, so only the number is bounded here.
const WAITING_MAX: usize = 4_096;
/// A segment is at most this part of the disk bound, so that releasing makes room in small steps.
const SEGMENTS_MIN: u64 = 8;

/// Where the time comes from.
pub type Clock = Arc<dyn Fn() -> Micros + Send + Sync>;

/// Settings of an embedded log.
#[derive(Clone)]
pub struct EmbeddedLogConfig {
    /// Its folder, which is made when it does not exist.
    pub folder: PathBuf,
    /// Number of shards; fixed when the folder is made.
    pub shard_count: u32,
    /// Most bytes of all segments together. An append that would pass it is refused with [`LogError::Full`].
    pub bytes_max: u64,
    /// A segment that has reached this takes no further group. Only whole segments are deleted.
    pub segment_bytes: u64,
    /// Gives the append times.
    pub clock: Clock,
}

impl EmbeddedLogConfig {
    /// Settings with 8 GiB of disk and segments of 128 MiB.
    pub fn new(folder: impl Into<PathBuf>, shard_count: u32, clock: Clock) -> Self {
        Self { folder: folder.into(), shard_count, bytes_max: 8 << 30, segment_bytes: 128 << 20, clock }
    }
}

/// A log in a folder. Dropping it waits for what is being written, and frees the folder.
pub struct EmbeddedLog {
    identity: LogIdentity,
    shard_count: u32,
    bytes_max: u64,
    shared: Arc<Shared>,
    /// None only while it is dropped.
    requests: Option<mpsc::Sender<Request>>,
    writer: Option<JoinHandle<()>>,
}

impl EmbeddedLog {
    /// Opens a log, or makes one. Reads the whole last segment, on the calling thread.
    ///
    /// # Errors
    /// [`LogError::Unusable`] when the folder is in use, belongs to another number of shards, or is damaged.
    pub fn open(config: EmbeddedLogConfig) -> Result<Self, LogError> {
        Self::open_on(config, Box::new(RealDisk))
    }

    fn open_on(mut config: EmbeddedLogConfig, mut disk: Box<dyn Disk>) -> Result<Self, LogError> {
        if !(1..=SHARD_COUNT_MAX).contains(&config.shard_count) {
            return Err(LogError::Unusable(format!(
                "an embedded log has 1 to {SHARD_COUNT_MAX} shards, and {} are asked for",
                config.shard_count
            )));
        }
        config.segment_bytes = config.segment_bytes.min(config.bytes_max / SEGMENTS_MIN);
        let shard_count = config.shard_count as usize;
        let lock = identity::lock(&config.folder)?;
        let (paths, cluster) = recovery::find_or_make(&mut *disk, &config.folder, config.shard_count)?;
        let recovered = recovery::recover(&mut *disk, &paths, cluster, shard_count)?;
        let identity = LogIdentity { cluster: hex::encode(cluster), topic: "embedded".to_owned() };
        let (bytes_max, folder) = (config.bytes_max, config.folder.clone());
        let (writer, shared) = writer_of(config, disk, recovered, lock);
        let (requests, queue) = mpsc::channel(WAITING_MAX);
        let thread = std::thread::Builder::new().name("embedded-log".to_owned());
        let thread = thread
            .spawn(move || writer.run(queue))
            .map_err(|error| identity::unusable("start a thread for", &folder, &error))?;
        let shard_count = u32::try_from(shard_count).expect("it came from such a number");
        Ok(Self { identity, shard_count, bytes_max, shared, requests: Some(requests), writer: Some(thread) })
    }

    /// Bytes of all segments on the disk.
    pub fn disk_bytes(&self) -> u64 {
        self.shared.state().byte_count
    }

    /// The bound of [`Self::disk_bytes`].
    pub fn disk_bytes_max(&self) -> u64 {
        self.bytes_max
    }

    fn check_shard(&self, shard: u32) -> Result<(), LogError> {
        if shard < self.shard_count {
            return Ok(());
        }
        Err(LogError::Unusable(format!(
            "the log has {} shards, and shard {shard} is asked for",
            self.shard_count
        )))
    }

    /// Refuses what can never be appended, however long one waits.
    fn check_records(&self, records: &[NewRecord]) -> Result<(), LogError> {
        for record in records {
            self.check_shard(record.shard)?;
            if record.payload.len() > PAYLOAD_BYTES_MAX {
                return Err(LogError::Unusable(format!(
                    "a record of {} bytes is larger than the log takes, which is {PAYLOAD_BYTES_MAX}",
                    record.payload.len()
                )));
            }
        }
        let headers = 2 * segment_header_len(self.shard_count)
            + GroupHeader::encoded_len(self.shard_count as usize) as u64;
        let bytes = writer::byte_count(records) + headers;
        if bytes > Room::Outside.of(self.bytes_max) || u32::try_from(records.len()).is_err() {
            return Err(LogError::Unusable(format!(
                "an append of {bytes} bytes can never fit into a log of {}: raise its bound, or append less at once",
                self.bytes_max
            )));
        }
        Ok(())
    }

    async fn append_within(&self, records: Vec<NewRecord>, room: Room) -> Result<(), LogError> {
        self.check_records(&records)?;
        if records.is_empty() {
            return Ok(());
        }
        self.ask(|reply| Request::Append(Append { records, room, reply })).await
    }

    async fn ask(&self, request: impl FnOnce(writer::Reply) -> Request) -> Result<(), LogError> {
        let stopped =
            || LogError::Unusable("the writer of the embedded log has stopped; start again".to_owned());
        let (reply, outcome) = oneshot::channel();
        let requests = self.requests.as_ref().ok_or_else(stopped)?;
        requests.send(request(reply)).await.map_err(|_| stopped())?;
        outcome.await.map_err(|_| stopped())?
    }
}

fn segment_header_len(shard_count: u32) -> u64 {
    format::SegmentHeader::encoded_len(shard_count as usize) as u64
}

/// The writer that continues a recovered log.
fn writer_of(
    config: EmbeddedLogConfig,
    disk: Box<dyn Disk>,
    recovered: recovery::Recovered,
    lock: std::fs::File,
) -> (Writer, Arc<Shared>) {
    let recovery::Recovered { segments, tail, sealed_bytes } = recovered;
    let (ends, watched) = tail.next_offsets.iter().map(|next| watch::channel(*next)).unzip();
    let mut floors = floors::read(&config.folder, tail.next_offsets.len());
    for (floor, next) in floors.iter_mut().zip(&tail.next_offsets) {
        *floor = (*floor).min(*next);
    }
    let active = Arc::clone(segments.back().expect("a recovered log has a last segment"));
    let byte_count = sealed_bytes + tail.len;
    let shared = Arc::new(Shared::new(State { segments, floors, byte_count }, watched));
    let writer = Writer {
        config,
        disk,
        shared: Arc::clone(&shared),
        active,
        len: tail.len,
        sealed_bytes,
        commit: tail.commit,
        time_max: tail.time_max,
        next_offsets: tail.next_offsets,
        ends,
        buffer: Vec::new(),
        is_dirty: false,
        failed: None,
        _lock: lock,
    };
    (writer, shared)
}

#[async_trait]
impl Log for EmbeddedLog {
    fn identity(&self) -> LogIdentity {
        self.identity.clone()
    }

    fn shard_count(&self) -> u32 {
        self.shard_count
    }

    fn record_bytes_max(&self) -> usize {
        PAYLOAD_BYTES_MAX
    }

    async fn append(&self, records: Vec<NewRecord>) -> Result<(), LogError> {
        self.append_within(records, Room::Outside).await
    }

    async fn append_own(&self, records: Vec<NewRecord>) -> Result<(), LogError> {
        self.append_within(records, Room::Whole).await
    }

    async fn bounds(&self, shard: u32) -> Result<Bounds, LogError> {
        self.check_shard(shard)?;
        let start = self.shared.state().start(shard);
        Ok(Bounds { start, end: self.shared.end(shard).max(start) })
    }

    async fn reader(&self, shard: u32, from: u64) -> Result<Box<dyn LogReader>, LogError> {
        let Bounds { start, end } = self.bounds(shard).await?;
        if from < start {
            return Err(LogError::Gone { shard, asked: from, start });
        }
        if from > end {
            return Err(LogError::Unusable(format!(
                "shard {shard} of the embedded log ends at offset {end}, and offset {from} is asked for: this folder lost records that were \
                 read before, or is another one"
            )));
        }
        Ok(Box::new(EmbeddedReader::new(Arc::clone(&self.shared), shard, from)))
    }

    async fn release(&self, shard: u32, floor: u64) -> Result<(), LogError> {
        self.check_shard(shard)?;
        self.ask(|reply| Request::Release { shard, floor, reply }).await
    }
}

impl Drop for EmbeddedLog {
    fn drop(&mut self) {
        self.requests = None;
        if let Some(writer) = self.writer.take()
            && writer.join().is_err()
        {
            tracing::error!("the writer of the embedded log panicked; what was acknowledged is on the disk");
        }
    }
}
