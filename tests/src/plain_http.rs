//! Plain HTTP: one request on one connection, as small as it can be, so that a broken connection is an error and nothing is
//! sent twice behind the test's back.
//!
//! - In: an address, a method, a path and a body.
//! - Out: status and body of the answer, or why there is none.
//! - Keeps: nothing.

use std::io::{Error, ErrorKind, Read, Result, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

/// For every step of a request.
const PATIENCE: Duration = Duration::from_secs(10);

/// An answer.
#[derive(Debug)]
pub struct Answer {
    /// Status code.
    pub status: u16,
    /// Body.
    pub body: Vec<u8>,
}

/// Sends a request and reads the whole answer.
pub fn request(port: u16, method: &str, path: &str, body: &[u8]) -> Result<Answer> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let mut connection = TcpStream::connect_timeout(&address, PATIENCE)?;
    connection.set_read_timeout(Some(PATIENCE))?;
    connection.set_write_timeout(Some(PATIENCE))?;
    let length = body.len();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: {address}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
    );
    connection.write_all(&[head.as_bytes(), body].concat())?;
    let mut answer = Vec::new();
    connection.read_to_end(&mut answer)?;
    parse(&answer).ok_or_else(|| Error::from(ErrorKind::UnexpectedEof))
}

/// Sends a GET.
pub fn get(port: u16, path: &str) -> Result<Answer> {
    request(port, "GET", path, b"")
}

/// A port that nobody listens on now.
///
/// # Panics
/// When there is none.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("there is a free port");
    listener.local_addr().expect("it is bound").port()
}

/// None when the answer was cut off.
fn parse(answer: &[u8]) -> Option<Answer> {
    let end = end_of_head(answer)?;
    let head = std::str::from_utf8(&answer[..end]).ok()?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let body = answer[end..].to_vec();
    let is_whole = content_length(head).is_none_or(|length| length == body.len());
    is_whole.then_some(Answer { status, body })
}

/// Behind the empty line.
pub fn end_of_head(bytes: &[u8]) -> Option<usize> {
    bytes.windows(4).position(|window| window == b"\r\n\r\n").map(|at| at + 4)
}

/// What a head says of the length of its body.
pub fn content_length(head: &str) -> Option<usize> {
    let headers = head.lines().filter_map(|line| line.split_once(':'));
    let length = headers.into_iter().find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    length.and_then(|(_, value)| value.trim().parse().ok())
}
