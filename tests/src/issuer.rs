//! Issuer: an OAuth server that stands in for Entra: it gives tokens, and shows the key to check them.
//!
//! - In: token requests of any grant; the answer that the test wants at present.
//! - Out: signed tokens (ES256) of a life that the test chooses; every request that came.
//! - Keeps: its thread, until it is dropped.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

/// What the issuer answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mood {
    /// Tokens that live this many seconds.
    Gives(i64),
    /// Tokens for somebody else.
    GivesForAnotherAudience,
    /// An error.
    Fails,
}

/// A running issuer.
pub struct Issuer {
    url: String,
    shared: Arc<Shared>,
}

struct Shared {
    key: EcdsaKeyPair,
    key_id: String,
    mood: Mutex<Mood>,
    requests: Mutex<Vec<String>>,
    is_stopping: AtomicBool,
}

impl Issuer {
    /// Starts it.
    ///
    /// # Panics
    /// When there is no free port.
    pub fn start(mood: Mood) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("there is a free port");
        let address = listener.local_addr().expect("it is bound");
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(algorithm, &SystemRandom::new()).expect("a key can be made");
        let key = EcdsaKeyPair::from_pkcs8(algorithm, pkcs8.as_ref()).expect("the key was just made");
        let shared = Arc::new(Shared {
            key,
            // A broker keeps a key by its name for an hour.
            key_id: format!("key-{}", address.port()),
            mood: Mutex::new(mood),
            requests: Mutex::default(),
            is_stopping: AtomicBool::new(false),
        });
        let served = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if served.is_stopping.load(Ordering::Relaxed) {
                    return;
                }
                // A client that goes away is no matter.
                let _ = served.serve(stream);
            }
        });
        Self { url: format!("http://{address}"), shared }
    }

    /// Where it is.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Where its keys are.
    pub fn keys_url(&self) -> String {
        format!("{}/jwks", self.url)
    }

    /// What it answers from now on.
    pub fn set_mood(&self, mood: Mood) {
        *self.shared.mood.lock().expect("nobody panics with it") = mood;
    }

    /// The token requests that came: path and body.
    pub fn requests(&self) -> Vec<String> {
        self.shared.requests.lock().expect("nobody panics with it").clone()
    }
}

impl Drop for Issuer {
    fn drop(&mut self) {
        self.shared.is_stopping.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(self.url.trim_start_matches("http://"));
    }
}

impl Shared {
    fn serve(&self, mut stream: TcpStream) -> std::io::Result<()> {
        let (head, body) = read_request(&mut stream)?;
        let path = head.split(' ').nth(1).unwrap_or_default();
        let (status, answer) = if head.starts_with("GET /jwks") {
            (200, self.keys())
        } else {
            self.requests.lock().expect("nobody panics with it").push(format!("{path} {body}"));
            match self.mood.lock().expect("nobody panics with it").clone() {
                Mood::Gives(life) => (200, self.answer(life, "kafka-test")),
                Mood::GivesForAnotherAudience => (200, self.answer(60, "somebody-else")),
                Mood::Fails => (503, json!({ "error": "temporarily_unavailable" }).to_string()),
            }
        };
        let length = answer.len();
        write!(
            stream,
            "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{answer}"
        )
    }

    fn keys(&self) -> String {
        let point = self.key.public_key().as_ref();
        let (x, y) = (URL_SAFE_NO_PAD.encode(&point[1..33]), URL_SAFE_NO_PAD.encode(&point[33..65]));
        let key = json!({ "kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": self.key_id, "x": x, "y": y });
        json!({ "keys": [key] }).to_string()
    }

    fn answer(&self, life: i64, audience: &str) -> String {
        let now = chrono::Utc::now().timestamp();
        let header = json!({ "alg": "ES256", "kid": self.key_id, "typ": "JWT" });
        let claims = json!({ "iss": "issuer", "aud": audience, "sub": "worker", "iat": now, "nbf": now, "exp": now + life });
        let encode = |part: &serde_json::Value| URL_SAFE_NO_PAD.encode(part.to_string());
        let signed = format!("{}.{}", encode(&header), encode(&claims));
        let signature = self.key.sign(&SystemRandom::new(), signed.as_bytes()).expect("the key signs");
        let token = format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature.as_ref()));
        json!({ "token_type": "Bearer", "expires_in": life, "access_token": token }).to_string()
    }
}

fn read_request(stream: &mut TcpStream) -> std::io::Result<(String, String)> {
    let mut bytes = Vec::new();
    let mut block = [0; 8192];
    loop {
        let count = stream.read(&mut block)?;
        bytes.extend_from_slice(&block[..count]);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            if count == 0 {
                return Ok((text, String::new()));
            }
            continue;
        };
        let lower = head.to_ascii_lowercase();
        let length = lower
            .split_once("content-length: ")
            .map_or(0, |(_, rest)| rest.lines().next().unwrap_or_default().trim().parse().unwrap_or(0));
        if count == 0 || body.len() >= length {
            return Ok((head.to_owned(), body.to_owned()));
        }
    }
}
