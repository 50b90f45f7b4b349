//! What is sent to token endpoints, and what their refusals may tell.

use super::*;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;

/// Answers each request with the next of `answers`, and returns what was asked.
fn endpoint(answers: Vec<(u16, String)>) -> (String, std::thread::JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let served = std::thread::spawn(move || {
        answers.into_iter().map(|(status, body)| serve(&listener, status, &body)).collect()
    });
    (url, served)
}

fn serve(listener: &TcpListener, status: u16, body: &str) -> String {
    let (mut stream, _) = listener.accept().unwrap();
    let mut asked = Vec::new();
    let mut block = [0; 4096];
    loop {
        let count = stream.read(&mut block).unwrap();
        asked.extend_from_slice(&block[..count]);
        let text = String::from_utf8_lossy(&asked);
        let head = text.find("\r\n\r\n");
        let length = text
            .to_ascii_lowercase()
            .split_once("content-length: ")
            .map_or(0, |(_, rest)| rest.split("\r\n").next().unwrap().trim().parse().unwrap());
        if count == 0 || head.is_some_and(|end| asked.len() >= end + 4 + length) {
            break;
        }
    }
    let head = format!("HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", body.len());
    stream.write_all(format!("{head}{body}").as_bytes()).unwrap();
    String::from_utf8(asked).unwrap()
}

fn clock() -> Clock {
    Arc::new(|| Micros(1_000_000))
}

fn answer(token: &str, life: &str) -> (u16, String) {
    (200, format!(r#"{{"token_type":"Bearer","access_token":"{token}","expires_in":{life}}}"#))
}

#[tokio::test]
async fn workload_identity_sends_the_file_as_it_is_now() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    let (url, served) = endpoint(vec![answer("t1", "12"), answer("t2", "\"3599\"")]);
    let grant = TokenGrant::WorkloadIdentity {
        tenant: Some("tenant-1".into()),
        client_id: Some("client-1".into()),
        federated_token_file: Some(file.clone()),
        authority_host: Some(format!("{url}/")),
    };
    let http = reqwest::Client::new();
    std::fs::write(&file, "assertion-one\n").unwrap();
    let first = grant.exchange(&http, "https://ns/.default", &clock()).await.unwrap();
    std::fs::write(&file, "assertion-two").unwrap();
    let second = grant.exchange(&http, "https://ns/.default", &clock()).await.unwrap();
    assert_eq!((first.reveal(), first.expires_at), ("t1", Micros(13_000_000)));
    assert_eq!((second.reveal(), second.expires_at), ("t2", Micros(3_600_000_000)));
    assert!(!format!("{first:?}").contains("t1"), "a token does not print");
    let asked = served.join().unwrap();
    assert!(asked[0].starts_with("POST /tenant-1/oauth2/v2.0/token "), "{}", asked[0]);
    assert!(asked[0].ends_with(
        "grant_type=client_credentials&client_id=client-1&scope=https%3A%2F%2Fns%2F.default&client_assertion_type=\
         urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer&client_assertion=assertion-one"
    ));
    assert!(asked[1].ends_with("client_assertion=assertion-two"));
}

#[tokio::test]
async fn managed_identity_asks_each_service_in_its_way() {
    let (url, served) = endpoint(vec![answer("t", "60"), answer("t", "60")]);
    let mut grant = TokenGrant::ManagedIdentity {
        client_id: None,
        endpoint: Some(format!("{url}/metadata/identity/oauth2/token")),
        header: None,
    };
    let http = reqwest::Client::new();
    grant.exchange(&http, "https://ns/.default", &clock()).await.unwrap();
    grant = TokenGrant::ManagedIdentity { client_id: None, endpoint: None, header: None };
    grant.fill_from_environment(|name| {
        let value = match name {
            "IDENTITY_ENDPOINT" => format!("{url}/msi"),
            "IDENTITY_HEADER" => "guid-of-the-host".into(),
            _ => return None,
        };
        Some(value)
    });
    grant.exchange(&http, "https://ns/.default", &clock()).await.unwrap();
    assert!(!format!("{grant:?}").contains("guid-of-the-host"));
    let asked = served.join().unwrap();
    assert!(asked[0].starts_with(
        "GET /metadata/identity/oauth2/token?api-version=2018-02-01&resource=https%3A%2F%2Fns HTTP"
    ));
    assert!(asked[0].contains("metadata: true"));
    assert!(asked[1].starts_with("GET /msi?api-version=2019-08-01&resource="));
    assert!(asked[1].contains("x-identity-header: guid-of-the-host"));
}

#[tokio::test]
async fn refusal_tells_status_and_code_and_repeats_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secret");
    std::fs::write(&file, "s3cr3t").unwrap();
    let echo = r#"{"error":"invalid_client","error_description":"AADSTS7000215: s3cr3t is wrong"}"#;
    let cases = [
        (401, echo.to_owned(), "the endpoint answered 401 invalid_client AADSTS7000215"),
        (400, r#"{"error":"s3cr3t"}"#.into(), "the endpoint answered 400 "),
        (500, "s3cr3t".into(), "the endpoint answered 500 "),
        (200, r#"{"access_token":5,"note":"s3cr3t"}"#.into(), "holds no access_token"),
        (200, "x".repeat(ANSWER_BYTES_MAX + 1), "longer than"),
    ];
    for (status, body, part) in cases {
        let (url, served) = endpoint(vec![(status, body)]);
        let grant = TokenGrant::ClientCredentials {
            token_url: format!("{url}/token?hint=s3cr3t"),
            client_id: "c".into(),
            client_secret_file: file.clone(),
        };
        let error = grant.exchange(&reqwest::Client::new(), "s", &clock()).await.unwrap_err().to_string();
        assert!(error.contains(part) && !error.contains("s3cr3t"), "{error}");
        assert!(served.join().unwrap()[0].ends_with("client_secret=s3cr3t"));
    }
}
