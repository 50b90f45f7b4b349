//! Append speed: tasks that append batches to an embedded log, and readers that follow it.
//!
//! - In: a new folder, batches for each task, and optionally shards, tasks and batches per second of each task (0: as fast as possible).
//! - Out: records per second, and the times from append to durable, as one line.
//! - Keeps: nothing; the folder can be deleted.

use bytes::Bytes;
use corridor_intake::log::embedded::{EmbeddedLog, EmbeddedLogConfig};
use corridor_intake::log::{Log, NewRecord};
use corridor_model::Micros;
use std::io::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

const BATCH_RECORDS: u32 = 100;
const RECORD_BYTES: usize = 1_200;

type Failure = Box<dyn std::error::Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let folder =
        arguments.next().ok_or("usage: append_speed FOLDER BATCHES [SHARDS TASKS BATCHES_PER_SECOND]")?;
    let mut number = |default: u32| arguments.next().map_or(Ok(default), |text| text.parse());
    let (batches, shards, tasks, per_second) = (number(1_000)?, number(2)?, number(8)?, number(0)?);
    let began = Instant::now();
    let clock = move || Micros(began.elapsed().as_micros() as i64);
    let log = Arc::new(EmbeddedLog::open(EmbeddedLogConfig::new(folder, shards, Arc::new(clock)))?);
    let started = Instant::now();
    let readers: Vec<_> = (0..shards)
        .map(|shard| {
            let per_batch = (0..BATCH_RECORDS).filter(|index| index % shards == shard).count();
            tokio::spawn(follow(Arc::clone(&log), shard, per_batch as u64 * u64::from(batches * tasks)))
        })
        .collect();
    let appenders: Vec<_> =
        (0..tasks).map(|_| tokio::spawn(append(Arc::clone(&log), batches, shards, per_second))).collect();
    let mut times = Vec::new();
    for appender in appenders {
        times.extend(appender.await??);
    }
    let elapsed = started.elapsed().as_secs_f64();
    times.sort();
    let records = f64::from(batches * tasks * BATCH_RECORDS);
    let at = |part: f64| times[((times.len() - 1) as f64 * part) as usize].as_secs_f64() * 1_000.0;
    for reader in readers {
        reader.await??;
    }
    let behind = started.elapsed().as_secs_f64() - elapsed;
    writeln!(
        std::io::stdout(),
        "{:.0} records/s, {:.0} MB/s, append p50 {:.2} ms, p99 {:.2} ms, max {:.2} ms; readers end {:.1} ms later",
        records / elapsed,
        records * RECORD_BYTES as f64 / elapsed / 1e6,
        at(0.5),
        at(0.99),
        at(1.0),
        behind * 1_000.0
    )?;
    Ok(())
}

async fn append(
    log: Arc<EmbeddedLog>,
    batches: u32,
    shards: u32,
    per_second: u32,
) -> Result<Vec<Duration>, Failure> {
    let payload = Bytes::from(vec![b'x'; RECORD_BYTES]);
    let record = |index| NewRecord { shard: index % shards, key: Bytes::new(), payload: payload.clone() };
    let pause = Duration::from_secs(1).checked_div(per_second);
    let mut times = Vec::with_capacity(batches as usize);
    let mut due = Instant::now();
    for _ in 0..batches {
        if let Some(pause) = pause {
            due += pause;
            tokio::time::sleep(due.saturating_duration_since(Instant::now())).await;
        }
        let started = Instant::now();
        log.append((0..BATCH_RECORDS).map(record).collect()).await?;
        times.push(started.elapsed());
    }
    Ok(times)
}

/// Reads a shard until so many records came.
async fn follow(log: Arc<EmbeddedLog>, shard: u32, record_count: u64) -> Result<(), Failure> {
    let from = log.bounds(shard).await?.start;
    let mut reader = log.reader(shard, from).await?;
    let mut left = record_count;
    while left > 0 {
        let found = reader.read(1 << 20, Duration::from_secs(60)).await?;
        left = left.saturating_sub(found.len() as u64);
    }
    Ok(())
}
