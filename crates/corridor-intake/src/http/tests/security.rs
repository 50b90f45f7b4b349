//! Tokens, certificates, and hostile bytes.

use super::*;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::RootCertStore;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use std::fs;
use std::path::Path;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

#[tokio::test]
async fn tokens_rotate_without_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokens");
    fs::write(&path, "old\nnew\n").unwrap();
    let accept = RecordingAccept::open();
    let running = start(HttpConfig { token_file: Some(path.clone()), ..config() }, accept.clone()).await;
    let mut client = Client::to(running.address).await;
    assert_eq!(client.post("/v1/kong", "authorization: Bearer old\r\n", b"1").await.status, 200);
    assert_eq!(client.post("/v1/kong", "authorization: bearer new\r\n", b"2").await.status, 200);
    for headers in ["", "authorization: Bearer wrong\r\n", "authorization: Basic b2xk\r\n"] {
        let answer = client.post("/v1/kong", headers, b"3").await;
        assert_eq!((answer.status, answer.header("www-authenticate")), (401, Some("Bearer")), "{headers}");
    }
    assert_eq!(client.read("/healthz").await.status, 200);
    assert_eq!(client.read("/metrics").await.status, 200);
    fs::write(&path, "new\n").unwrap();
    let waiting = async {
        while client.post("/v1/kong", "authorization: Bearer old\r\n", b"4").await.status != 401 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.unwrap();
    assert_eq!(client.post("/v1/kong", "authorization: Bearer new\r\n", b"5").await.status, 200);
    assert!(!accept.bodies().contains(&b"3".to_vec()));
    running.stop().await;
}

#[tokio::test]
async fn settings_and_files_that_cannot_work_are_told_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    fs::write(&path, "# nothing\n").unwrap();
    let tls = TlsConfig { certificate: path.clone(), key: path.clone(), client_ca: None };
    let cases = [
        (HttpConfig { token_file: Some(path.clone()), ..config() }, "no token in it"),
        (HttpConfig { token_file: Some(folder.path().join("none")), ..config() }, "none"),
        (HttpConfig { tls: Some(tls), ..config() }, "no certificate"),
        (HttpConfig { body_bytes_max: 1, ..config() }, "body_bytes_max"),
    ];
    for (config, want) in cases {
        let services = services(RecordingAccept::open(), FixedHealth::default());
        let error = HttpReceiver::bind(config, services).await.err().unwrap().to_string();
        assert!(error.contains(want), "{error}");
    }
}

/// An authority and what it signed.
struct Authority {
    certificate: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap().der().clone();
        Self { certificate, issuer: Issuer::new(params, key) }
    }

    fn sign(&self, name: &str) -> (CertificateDer<'static>, PrivateKeyDer<'static>) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        (certificate.der().clone(), PrivatePkcs8KeyDer::from(key.serialize_der()).into())
    }
}

fn write_pem(path: &Path, label: &str, der: &[u8]) {
    let text = data_encoding::BASE64.encode(der);
    let lines: Vec<_> = text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    let pem = format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"));
    fs::write(path, pem).unwrap();
}

fn write_server_files(folder: &Path, server: &Authority, clients: &Authority) -> TlsConfig {
    let (certificate, key) = server.sign("localhost");
    let files = TlsConfig {
        certificate: folder.join("tls.crt"),
        key: folder.join("tls.key"),
        client_ca: Some(folder.join("ca.crt")),
    };
    write_pem(&files.certificate, "CERTIFICATE", &certificate);
    write_pem(&files.key, "PRIVATE KEY", key.secret_der());
    write_pem(&folder.join("ca.crt"), "CERTIFICATE", &clients.certificate);
    files
}

async fn connect(
    address: SocketAddr,
    server: &Authority,
    identity: Option<(CertificateDer<'static>, PrivateKeyDer<'static>)>,
) -> std::io::Result<Client<TlsStream<TcpStream>>> {
    let mut roots = RootCertStore::empty();
    roots.add(server.certificate.clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let config = match identity {
        Some((certificate, key)) => builder.with_client_auth_cert(vec![certificate], key).unwrap(),
        None => builder.with_no_client_auth(),
    };
    let stream = TcpStream::connect(address).await?;
    let name = ServerName::try_from("localhost").unwrap();
    let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
    Ok(Client { stream, read: Vec::new() })
}

/// The status of a post, or None when the connection was refused.
async fn post_over(client: std::io::Result<Client<TlsStream<TcpStream>>>) -> Option<u16> {
    let mut client = client.ok()?;
    client.stream.write_all(&request("POST", "/v1/kong", "", b"{}")).await.ok()?;
    client.answer().await.map(|answer| answer.status)
}

#[tokio::test]
async fn only_clients_with_a_certificate_come_in_and_files_may_change() {
    let folder = tempfile::tempdir().unwrap();
    let (server, clients, strangers) = (Authority::new(), Authority::new(), Authority::new());
    let tls = write_server_files(folder.path(), &server, &clients);
    let accept = RecordingAccept::open();
    let running = start(HttpConfig { tls: Some(tls), ..config() }, accept.clone()).await;
    let address = running.address;
    assert_eq!(post_over(connect(address, &server, None).await).await, None);
    assert_eq!(post_over(connect(address, &server, Some(strangers.sign("gateway"))).await).await, None);
    assert_eq!(post_over(connect(address, &server, Some(clients.sign("gateway"))).await).await, Some(200));
    assert_eq!(accept.bodies().len(), 1);
    // Plain HTTP on the TLS port is refused, and hurts nobody.
    let mut plain = Client::to(address).await;
    plain.send("GET /healthz HTTP/1.1\r\nhost: t\r\n\r\n").await;
    plain.stream.read_to_end(&mut Vec::new()).await.unwrap();
    let renewed = Authority::new();
    write_server_files(folder.path(), &renewed, &clients);
    let waiting = async {
        while post_over(connect(address, &renewed, Some(clients.sign("gateway"))).await).await != Some(200) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.unwrap();
    running.stop().await;
}

#[tokio::test]
async fn hostile_bytes_never_stop_the_receiver() {
    let accept = RecordingAccept::open();
    let running = start(config(), accept.clone()).await;
    let long_head = format!("GET /healthz HTTP/1.1\r\nx: {}\r\n\r\n", "a".repeat(1 << 20));
    let many_headers = format!("GET /healthz HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(5000));
    let cases: [&[u8]; 7] = [
        b"\x00\x01\x02\x03\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"POST /v1/kong HTTP/1.1\r\ncontent-length: 99999999999999999999999\r\n\r\n",
        b"GET /%ff%00/../../etc/passwd HTTP/1.1\r\n\r\n",
        long_head.as_bytes(),
        many_headers.as_bytes(),
    ];
    for bytes in cases {
        let mut client = Client::to(running.address).await;
        // The receiver may close while we still write.
        let _ = client.stream.write_all(bytes).await;
        let _ = client.stream.shutdown().await;
        assert!(client.answer().await.is_none_or(|answer| answer.status >= 400));
    }
    assert_eq!(Client::to(running.address).await.read("/healthz").await.status, 200);
    assert!(accept.bodies().is_empty());
    running.stop().await;
}
