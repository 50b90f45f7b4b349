//! What may be posted, and what is answered.

use super::*;
use crate::delivery::DefectKind;
use corridor_model::Side;

#[tokio::test]
async fn bodies_pass_unchanged_by_any_method_and_content_type() {
    let accept = RecordingAccept::open();
    let running = start(config(), accept.clone()).await;
    let bodies: [&[u8]; 5] = [
        br#"{"request":{"id":"1"}}"#,
        br#"[{"request":{"id":"1"}},{"request":{"id":"2"}}]"#,
        b"{\"records\":[\xef\xbb\xbf]} \n",
        b"[{\"q\":\"\xff\xfe\"}]",
        b"no json",
    ];
    let mut client = Client::to(running.address).await;
    let mut want = Vec::new();
    for (path, side) in [("/v1/kong", Side::Kong), ("/v1/azure", Side::Azure), ("/v1/kong/?a=b", Side::Kong)]
    {
        for method in ["POST", "PUT", "PATCH"] {
            for body in bodies {
                client.send(request(method, path, "content-type: text/odd\r\n", body)).await;
                let answer = client.answer().await.unwrap();
                assert_eq!((answer.status, answer.body.as_str()), (200, "{\"events\":1,\"rejects\":0}\n"));
                want.push((side, body.to_vec()));
            }
        }
    }
    running.stop().await;
    let taken = accept.taken.lock().unwrap();
    let got: Vec<_> = taken.iter().map(|(delivery, _)| (delivery.side, delivery.body.to_vec())).collect();
    assert_eq!(got, want);
    let origins: std::collections::BTreeSet<_> = taken.iter().map(|(d, _)| d.origin.path.clone()).collect();
    assert_eq!(origins.len(), want.len(), "each batch has a name of its own");
    assert!(taken.iter().all(|(d, _)| d.origin.path.starts_with(&format!("http:{}/", d.side))));
    assert!(taken.iter().all(|(d, defect)| d.received_time.0 > 0 && defect.is_none()));
}

#[tokio::test]
async fn chunked_gzip_and_expect_arrive_as_plain_bodies() {
    let accept = RecordingAccept::open();
    let running = start(config(), accept.clone()).await;
    let mut client = Client::to(running.address).await;
    let json = br#"[{"a":1},{"a":2}]"#;
    let members = [gzip(&json[..7]), gzip(&json[7..])].concat();
    assert_eq!(client.post("/v1/kong", "content-encoding: gzip\r\n", &members).await.status, 200);
    assert_eq!(client.post("/v1/kong", "Content-Encoding: X-GZIP\r\n", &gzip(json)).await.status, 200);
    client.send("POST /v1/kong HTTP/1.1\r\nhost: t\r\ntransfer-encoding: chunked\r\n\r\n").await;
    client.send("7\r\n[{\"a\":1\r\n0a\r\n},{\"a\":2}]\r\n0\r\n\r\n").await;
    assert_eq!(client.answer().await.unwrap().status, 200);
    client
        .send("POST /v1/kong HTTP/1.1\r\nhost: t\r\nexpect: 100-continue\r\ncontent-length: 17\r\n\r\n")
        .await;
    assert_eq!(client.answer().await.unwrap().status, 100);
    client.send(json).await;
    assert_eq!(client.answer().await.unwrap().status, 200);
    assert_eq!(accept.bodies(), vec![json.to_vec(); 4]);
    running.stop().await;
}

#[tokio::test]
async fn an_empty_body_is_acknowledged_and_not_delivered() {
    let accept = RecordingAccept::open();
    let running = start(config(), accept.clone()).await;
    let mut client = Client::to(running.address).await;
    for (headers, body) in [("", vec![]), ("content-encoding: gzip\r\n", gzip(b""))] {
        let answer = client.post("/v1/azure", headers, &body).await;
        assert_eq!((answer.status, answer.body.as_str()), (200, "{\"events\":0,\"rejects\":0}\n"));
    }
    assert!(accept.bodies().is_empty());
    running.stop().await;
}

#[tokio::test]
async fn what_cannot_be_read_is_acknowledged_with_its_defect() {
    let accept = RecordingAccept::open();
    let config = HttpConfig { body_bytes_max: 16 << 20, inflated_bytes_max: 16 << 20, ..config() };
    let running = start(config, accept.clone()).await;
    let whole = gzip(&b"{\"a\":1}\n".repeat(50_000));
    let bomb = gzip(&vec![b'['; 200 << 20]);
    let large = vec![b' '; (17 << 20) + 5];
    let cases: [(&str, &[u8], DefectKind, usize); 5] = [
        ("content-encoding: gzip\r\n", &whole[..whole.len() / 2], DefectKind::CutOff, 1),
        ("content-encoding: br\r\n", b"\x0b\x02\x80hello", DefectKind::UnknownEncoding, 0),
        ("content-encoding: gzip\r\n", b"\x1f\x8b\x08 not gzip at all", DefectKind::Corrupt, 0),
        ("content-encoding: gzip\r\n", &bomb, DefectKind::TooLarge, 16 << 20),
        ("", &large, DefectKind::TooLarge, 16 << 20),
    ];
    for (index, (headers, body, kind, kept_min)) in cases.into_iter().enumerate() {
        let mut client = Client::to(running.address).await;
        let answer = client.post("/v1/kong", headers, body).await;
        assert_eq!((answer.status, answer.body.as_str()), (200, "{\"events\":0,\"rejects\":1}\n"));
        assert_eq!(accept.defects()[index].as_ref().map(|defect| defect.kind), Some(kind));
        let kept = accept.bodies()[index].len();
        assert!((kept_min..=16 << 20).contains(&kept), "{index}: {kept}");
    }
    let text = Client::to(running.address).await.read("/metrics").await.body;
    assert!(text.contains("corridor_http_in_flight_bytes 0\n"), "{text}");
    running.stop().await;
}

#[tokio::test]
async fn a_body_of_seventeen_mib_is_taken_whole() {
    let accept = RecordingAccept::open();
    let running = start(config(), accept.clone()).await;
    let body: Vec<u8> = (0..17u32 << 20).map(|index| u8::try_from(index % 251).unwrap()).collect();
    assert_eq!(Client::to(running.address).await.post("/v1/kong", "", &body).await.status, 200);
    assert_eq!(accept.bodies(), [body]);
    running.stop().await;
}

#[tokio::test]
async fn other_paths_and_methods_are_refused() {
    let running = start(config(), RecordingAccept::open()).await;
    for (method, path, status) in [
        ("POST", "/", 404),
        ("POST", "/v1/other", 404),
        ("GET", "/v1/kong", 405),
        ("DELETE", "/v1/azure", 405),
        ("POST", "/metrics", 405),
    ] {
        let mut client = Client::to(running.address).await;
        client.send(request(method, path, "", b"{}")).await;
        assert_eq!(client.answer().await.unwrap().status, status, "{method} {path}");
    }
    running.stop().await;
}

#[tokio::test]
async fn probes_and_metrics_tell_how_the_process_is() {
    let health = FixedHealth { reasons: vec!["shard 3 is recovering".into()] };
    let running = start_with(config(), services(RecordingAccept::open(), health)).await;
    let mut client = Client::to(running.address).await;
    assert_eq!(client.read("/healthz").await.status, 200);
    let ready = client.read("/readyz").await;
    assert_eq!((ready.status, ready.body.as_str()), (503, "shard 3 is recovering\n"));
    assert_eq!(client.read("/status").await.body, "{\"shards\":6}\n");
    assert_eq!(client.post("/v1/kong", "", b"{}").await.status, 200);
    let text = client.read("/metrics").await.body;
    for line in [
        "corridor_http_requests_total{route=\"/v1/kong\",status=\"200\"} 1",
        "corridor_http_requests_total{route=\"/readyz\",status=\"503\"} 1",
        "corridor_http_body_bytes_total 2",
        "corridor_http_events_total 1",
        "corridor_http_connections 1",
        "corridor_http_accept_seconds_count 1",
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
    running.stop().await;
}
