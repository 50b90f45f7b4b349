//! The receiver on real sockets, with a fake in the place of the accept side.

mod bodies;
mod faults;
mod load;
mod security;

use super::*;
use crate::delivery::{Accepted, Defect, Delivery, Refusal};
use async_trait::async_trait;
use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Notify, Semaphore, oneshot};
use tokio::task::JoinHandle;

/// No test waits longer for anything.
const PATIENCE: Duration = Duration::from_secs(20);

/// Records deliveries; refuses first what it is told to, and waits for the gate.
pub(super) struct RecordingAccept {
    taken: Mutex<Vec<(Delivery, Option<Defect>)>>,
    refusals: Mutex<VecDeque<Refusal>>,
    gate: Semaphore,
    entered: Notify,
}

impl RecordingAccept {
    fn with_gate(open: usize) -> Arc<Self> {
        Arc::new(Self {
            taken: Mutex::default(),
            refusals: Mutex::default(),
            gate: Semaphore::new(open),
            entered: Notify::new(),
        })
    }

    fn open() -> Arc<Self> {
        Self::with_gate(Semaphore::MAX_PERMITS)
    }

    fn refuse_next(&self, refusal: Refusal) {
        self.refusals.lock().unwrap().push_back(refusal);
    }

    fn bodies(&self) -> Vec<Vec<u8>> {
        self.taken.lock().unwrap().iter().map(|(delivery, _)| delivery.body.to_vec()).collect()
    }

    fn defects(&self) -> Vec<Option<Defect>> {
        self.taken.lock().unwrap().iter().map(|(_, defect)| defect.clone()).collect()
    }

    async fn take(&self, delivery: Delivery, defect: Option<Defect>) -> Result<Accepted, Refusal> {
        self.entered.notify_one();
        let _pass = self.gate.acquire().await.unwrap();
        if let Some(refusal) = self.refusals.lock().unwrap().pop_front() {
            return Err(refusal);
        }
        let rejects = u64::from(defect.is_some());
        self.taken.lock().unwrap().push((delivery, defect));
        Ok(Accepted { events: 1 - rejects, rejects })
    }
}

#[async_trait]
impl Accept for RecordingAccept {
    async fn accept(&self, delivery: Delivery) -> Result<Accepted, Refusal> {
        self.take(delivery, None).await
    }

    async fn accept_broken(&self, delivery: Delivery, defect: Defect) -> Result<Accepted, Refusal> {
        self.take(delivery, Some(defect)).await
    }
}

#[derive(Default)]
struct FixedHealth {
    reasons: Vec<String>,
}

impl Health for FixedHealth {
    fn unready_reasons(&self) -> Vec<String> {
        self.reasons.clone()
    }

    fn status(&self) -> serde_json::Value {
        serde_json::json!({"shards": 6})
    }
}

/// A receiver that runs until it is told to stop.
struct Running {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<()>,
}

impl Running {
    async fn stop(self) {
        let _ = self.stop.send(());
        tokio::time::timeout(PATIENCE, self.serving).await.unwrap().unwrap();
    }
}

fn config() -> HttpConfig {
    HttpConfig { listen: SocketAddr::from(([127, 0, 0, 1], 0)), ..HttpConfig::default() }
}

fn services(accept: Arc<dyn Accept>, health: FixedHealth) -> HttpServices {
    let mut registry = Registry::default();
    let metrics = HttpMetrics::register(&mut registry);
    let clock: WallClock = Arc::new(|| Micros(1_764_000_000_000_000));
    HttpServices { accept, health: Arc::new(health), clock, metrics, registry: Arc::new(registry) }
}

async fn start(config: HttpConfig, accept: Arc<dyn Accept>) -> Running {
    start_with(config, services(accept, FixedHealth::default())).await
}

async fn start_with(config: HttpConfig, services: HttpServices) -> Running {
    let receiver = HttpReceiver::bind(config, services).await.unwrap();
    let address = receiver.local_addr();
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = tokio::spawn(receiver.serve(async move {
        let _ = stopped.await;
    }));
    Running { address, stop, serving }
}

/// An answer as it came over the wire.
#[derive(Debug)]
struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.into_iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }
}

/// One connection that says exactly the bytes it is given.
struct Client<S> {
    stream: S,
    read: Vec<u8>,
}

impl Client<TcpStream> {
    async fn to(address: SocketAddr) -> Self {
        Client { stream: TcpStream::connect(address).await.unwrap(), read: Vec::new() }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).await.unwrap();
        self.stream.flush().await.unwrap();
    }

    /// The next answer, or None when the connection ends before one.
    async fn answer(&mut self) -> Option<Answer> {
        tokio::time::timeout(PATIENCE, self.read_answer()).await.expect("an answer in time")
    }

    async fn read_answer(&mut self) -> Option<Answer> {
        loop {
            if let Some((answer, length)) = parse_answer(&self.read) {
                self.read.drain(..length);
                return Some(answer);
            }
            match self.stream.read_buf(&mut self.read).await {
                Ok(0) | Err(_) => return None,
                Ok(_) => {}
            }
        }
    }

    async fn post(&mut self, path: &str, headers: &str, body: &[u8]) -> Answer {
        self.send(request("POST", path, headers, body)).await;
        self.answer().await.expect("an answer")
    }

    async fn read(&mut self, path: &str) -> Answer {
        self.send(format!("GET {path} HTTP/1.1\r\nhost: test\r\n\r\n")).await;
        self.answer().await.expect("an answer")
    }
}

fn request(method: &str, path: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head = format!("{method} {path} HTTP/1.1\r\nhost: test\r\n{headers}content-length: {length}\r\n\r\n");
    [head.as_bytes(), body].concat()
}

fn parse_answer(read: &[u8]) -> Option<(Answer, usize)> {
    let head_length = read.windows(4).position(|bytes| bytes == b"\r\n\r\n")? + 4;
    let head = String::from_utf8(read[..head_length].to_vec()).unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let mut answer = Answer { status, head, body: String::new() };
    let body_length: usize = answer.header("content-length").map_or(0, |value| value.parse().unwrap());
    let body = read.get(head_length..head_length + body_length)?;
    answer.body = String::from_utf8(body.to_vec()).unwrap();
    Some((answer, head_length + body_length))
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}
