//! Load for the HTTP receiver: batches of entries over kept connections, as fast as they are answered or at a fixed rate.
//!
//! - In: `post_load <http://host:port/path> <folder of NDJSON> <entries> <entries per batch> <connections> [<entries per second>]`.
//! - Out: one JSON object on stdout: entries, seconds, and the times from the send of a batch to its acknowledgement.
//! - Invariants: with a rate, a batch's time begins when it was due, so a slow receiver cannot hide by slowing its sender down.
//!   Any answer but 200 ends the run.

use anyhow::{Context as _, Result, anyhow, bail};
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Batches that wait for a connection.
const BATCHES_WAITING: usize = 64;

struct Load {
    host: String,
    path: String,
    folder: PathBuf,
    entries: usize,
    batch: usize,
    connections: usize,
    rate: Option<f64>,
}

/// A batch and when it is due; None sends it at once.
type Due = (Option<Instant>, Vec<u8>);

fn main() -> Result<()> {
    let load = arguments()?;
    let (sender, receiver) = std::sync::mpsc::sync_channel::<Due>(BATCHES_WAITING);
    let receiver = Mutex::new(receiver);
    let began = Instant::now();
    let (sent, mut times) = std::thread::scope(|scope| {
        let post = || scope.spawn(|| connection(&load, &receiver));
        let posting: Vec<_> = (0..load.connections).map(|_| post()).collect();
        let sent = read_batches(&load, began, &mut |due| sender.send(due).is_ok());
        drop(sender);
        let mut times = Vec::new();
        for posting in posting {
            times.extend(posting.join().map_err(|_| anyhow!("a connection panicked"))??);
        }
        anyhow::Ok((sent?, times))
    })?;
    let seconds = began.elapsed().as_secs_f64();
    times.sort_unstable();
    let at = |share: f64| times.get((times.len() as f64 * share) as usize).map_or(0.0, milliseconds);
    let result = serde_json::json!({
        "entries": sent, "batches": times.len(), "seconds": seconds, "per_second": sent as f64 / seconds,
        "p50_ms": at(0.5), "p99_ms": at(0.99), "p999_ms": at(0.999), "max_ms": times.last().map_or(0.0, milliseconds),
    });
    writeln!(std::io::stdout(), "{result}")?;
    Ok(())
}

fn milliseconds(time: &Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn arguments() -> Result<Load> {
    let mut rest = std::env::args().skip(1);
    let mut next = |what: &str| rest.next().with_context(|| format!("give {what}"));
    let url = next("the address, http://host:port/path")?;
    let url = url.strip_prefix("http://").context("the address must begin with http://")?.to_owned();
    let (host, path) = url.split_once('/').context("the address needs a path")?;
    Ok(Load {
        host: host.into(),
        path: format!("/{path}"),
        folder: next("the folder of NDJSON files")?.into(),
        entries: next("the number of entries")?.parse()?,
        batch: next("the entries of a batch")?.parse()?,
        connections: next("the number of connections")?.parse()?,
        rate: next("a rate").ok().map(|rate| rate.parse()).transpose()?,
    })
}

/// Reads the files in the order of their names and hands on JSON arrays. Lines that are no object are left out.
fn read_batches(load: &Load, began: Instant, hand_on: &mut dyn FnMut(Due) -> bool) -> Result<usize> {
    let mut body = vec![b'['];
    let (mut held, mut sent) = (0, 0);
    for file in files(&load.folder)? {
        for line in BufReader::with_capacity(1 << 20, File::open(&file)?).split(b'\n') {
            let line = line?;
            if !(line.starts_with(b"{") && line.ends_with(b"}")) {
                continue;
            }
            if held > 0 {
                body.push(b',');
            }
            body.extend_from_slice(&line);
            held += 1;
            if held < load.batch {
                continue;
            }
            body.push(b']');
            let due = load.rate.map(|rate| began + Duration::from_secs_f64(sent as f64 / rate));
            if !hand_on((due, std::mem::replace(&mut body, vec![b'[']))) {
                return Ok(sent);
            }
            sent += std::mem::take(&mut held);
            if sent >= load.entries {
                return Ok(sent);
            }
        }
    }
    Ok(sent)
}

fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let listed = std::fs::read_dir(folder).with_context(|| format!("list {}", folder.display()))?;
    let mut files = listed.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    files.sort();
    Ok(files)
}

/// Posts batches over one connection until there are no more.
fn connection(load: &Load, batches: &Mutex<std::sync::mpsc::Receiver<Due>>) -> Result<Vec<Duration>> {
    let stream = TcpStream::connect(&load.host).with_context(|| format!("connect to {}", load.host))?;
    stream.set_nodelay(true)?;
    let mut answers = BufReader::new(stream.try_clone()?);
    let mut stream = stream;
    let mut times = Vec::new();
    loop {
        let next = batches.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok((due, body)) = next else { return Ok(times) };
        if let Some(wait) = due.and_then(|due| due.checked_duration_since(Instant::now())) {
            std::thread::sleep(wait);
        }
        let began = due.unwrap_or_else(Instant::now);
        write!(
            stream,
            "POST {} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            load.path,
            load.host,
            body.len()
        )?;
        stream.write_all(&body)?;
        answer(&mut answers)?;
        times.push(began.elapsed());
    }
}

/// Reads one answer to its end.
fn answer(answers: &mut impl BufRead) -> Result<()> {
    let mut status = String::new();
    answers.read_line(&mut status)?;
    let mut length = 0;
    loop {
        let mut line = String::new();
        answers.read_line(&mut line)?;
        if line.trim().is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse()?;
        }
    }
    let mut body = vec![0; length];
    std::io::Read::read_exact(answers, &mut body)?;
    if status.split(' ').nth(1) != Some("200") {
        bail!("the receiver answered {}", status.trim());
    }
    Ok(())
}
