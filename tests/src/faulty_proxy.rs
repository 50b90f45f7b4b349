//! Faulty proxy: stands between the workers and the object store, and fails as networks and stores do.
//!
//! - In: HTTP requests.
//! - Out: the store's answers; or an error in place of the request; or the request carried out and its answer lost.
//! - Keeps: a thread for each connection, a count of the faults of each kind.
//! - Invariants: a request reaches the store whole or not at all.

use crate::plain_http::{content_length, end_of_head};
use std::io::{Error, ErrorKind, Read, Result, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

/// How the store is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weather {
    /// Every request is answered.
    Calm,
    /// Two of three requests fail, in every way.
    Storm,
    /// Every connection is reset.
    Down,
}

/// What happens to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Answered,
    Busy,
    Reset,
    ReplyLost,
}

#[derive(Debug, Default)]
struct State {
    weather: AtomicU8,
    requests: AtomicU64,
    faults: [AtomicU64; 3],
}

/// A running proxy. It ends with the process.
#[derive(Debug)]
pub struct FaultyProxy {
    port: u16,
    state: Arc<State>,
}

impl FaultyProxy {
    /// Starts it in front of this address.
    ///
    /// # Panics
    /// When it cannot listen.
    pub fn start(upstream: &str) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("there is a free port");
        let port = listener.local_addr().expect("it is bound").port();
        let state = Arc::new(State::default());
        let (shared, upstream) = (Arc::clone(&state), upstream.to_owned());
        std::thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                let (state, upstream) = (Arc::clone(&shared), upstream.clone());
                // A connection that breaks is what this is for.
                std::thread::spawn(move || drop(serve(connection, &upstream, &state)));
            }
        });
        Self { port, state }
    }

    /// Where it answers.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// From now on.
    pub fn set(&self, weather: Weather) {
        self.state.weather.store(weather as u8, Ordering::SeqCst);
    }

    /// Requests that were refused with 503, that were cut off before the store saw them, and whose answers were lost.
    pub fn faults(&self) -> [u64; 3] {
        self.state.faults.each_ref().map(|count| count.load(Ordering::SeqCst))
    }
}

impl State {
    fn fate(&self) -> Fate {
        let number = self.requests.fetch_add(1, Ordering::SeqCst);
        let fate = match self.weather.load(Ordering::SeqCst) {
            weather if weather == Weather::Calm as u8 => Fate::Answered,
            weather if weather == Weather::Down as u8 => Fate::Reset,
            // Spread evenly, and not in step with the requests of a claim.
            _ => match number.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 56 {
                0..85 => Fate::Answered,
                85..142 => Fate::Busy,
                142..199 => Fate::Reset,
                _ => Fate::ReplyLost,
            },
        };
        let fault = match fate {
            Fate::Answered => return fate,
            Fate::Busy => 0,
            Fate::Reset => 1,
            Fate::ReplyLost => 2,
        };
        self.faults[fault].fetch_add(1, Ordering::SeqCst);
        fate
    }
}

/// One request; the answer closes the connection.
fn serve(mut client: TcpStream, upstream: &str, state: &State) -> Result<()> {
    client.set_read_timeout(Some(Duration::from_secs(60)))?;
    let request = read_request(&mut client)?;
    match state.fate() {
        Fate::Answered => client.write_all(&ask(upstream, &request)?)?,
        Fate::Busy => client.write_all(
            b"HTTP/1.1 503 Server Busy\r\nx-ms-error-code: ServerBusy\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
        )?,
        Fate::Reset => {}
        Fate::ReplyLost => drop(ask(upstream, &request)?),
    }
    client.shutdown(Shutdown::Both)
}

/// A whole request, which asks the store to close the connection after its answer.
fn read_request(client: &mut TcpStream) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut buffer = vec![0; 64 << 10];
    let mut whole = None;
    while whole.is_none_or(|(_, length)| bytes.len() < length) {
        match client.read(&mut buffer)? {
            0 => return Err(Error::from(ErrorKind::UnexpectedEof)),
            count => bytes.extend_from_slice(&buffer[..count]),
        }
        if whole.is_none()
            && let Some(end) = end_of_head(&bytes)
        {
            let head = String::from_utf8_lossy(&bytes[..end]);
            whole = Some((end, end + content_length(&head).unwrap_or(0)));
        }
    }
    let (end, length) = whole.unwrap_or_default();
    let head = String::from_utf8_lossy(&bytes[..end - 2]);
    let kept =
        head.split_inclusive("\r\n").filter(|line| !line.to_ascii_lowercase().starts_with("connection:"));
    let mut request: Vec<u8> = kept.collect::<String>().into_bytes();
    request.extend_from_slice(b"connection: close\r\n\r\n");
    request.extend_from_slice(&bytes[end..length]);
    Ok(request)
}

fn ask(upstream: &str, request: &[u8]) -> Result<Vec<u8>> {
    let mut store = TcpStream::connect(upstream)?;
    store.write_all(request)?;
    let mut answer = Vec::new();
    store.read_to_end(&mut answer)?;
    Ok(answer)
}
