//! Senders and logs that misbehave.

use super::*;

#[tokio::test]
async fn a_busy_log_asks_to_come_back_and_takes_the_second_try() {
    let accept = RecordingAccept::open();
    let running = start(config(), accept.clone()).await;
    let mut client = Client::to(running.address).await;
    let refusals = [
        (Refusal::Busy { retry_after: Duration::from_millis(2500), reason: "queue".into() }, "3"),
        (Refusal::Log("disk full".into()), "1"),
        (Refusal::Stopping, "1"),
    ];
    for (refusal, seconds) in refusals {
        accept.refuse_next(refusal);
        let answer = client.post("/v1/kong", "", b"{}").await;
        assert_eq!((answer.status, answer.header("retry-after")), (503, Some(seconds)));
        assert!(!answer.body.contains("disk"), "inner reasons stay inside");
        assert_eq!(client.post("/v1/kong", "", b"{}").await.status, 200);
    }
    assert_eq!(accept.bodies().len(), 3);
    running.stop().await;
}

#[tokio::test]
async fn a_batch_sent_twice_is_delivered_twice() {
    let accept = RecordingAccept::open();
    let running = start(config(), accept.clone()).await;
    let mut client = Client::to(running.address).await;
    client.post("/v1/kong", "", b"[{\"a\":1}]").await;
    client.post("/v1/kong", "", b"[{\"a\":1}]").await;
    assert_eq!(accept.bodies(), vec![b"[{\"a\":1}]".to_vec(); 2]);
    running.stop().await;
}

#[tokio::test]
async fn a_delivery_ends_although_its_sender_went_away() {
    let accept = RecordingAccept::with_gate(0);
    let running = start(config(), accept.clone()).await;
    let mut client = Client::to(running.address).await;
    client.send(request("POST", "/v1/kong", "", b"{}")).await;
    accept.entered.notified().await;
    drop(client);
    // Another request on a new connection proves that the server saw the end of the first.
    let mut other = Client::to(running.address).await;
    assert_eq!(other.read("/healthz").await.status, 200);
    accept.gate.add_permits(1);
    running.stop().await;
    assert_eq!(accept.bodies(), [b"{}".to_vec()]);
}

#[tokio::test]
async fn a_body_that_ends_early_is_not_delivered() {
    let accept = RecordingAccept::open();
    let running = start(config(), accept.clone()).await;
    for half in [
        &b"POST /v1/kong HTTP/1.1\r\nhost: t\r\ncontent-length: 100\r\n\r\n[{\"a\":1},"[..],
        b"POST /v1/kong HTTP/1.1\r\nhost: t\r\ntransfer-encoding: chunked\r\n\r\n9\r\n[{\"a\":1},\r\n",
        b"POST /v1/kong HTTP/1.1\r\nhost: t\r\ntransfer-encoding: chunked\r\n\r\nZZ\r\n[{\"a\":1}]\r\n",
        b"POST /v1/kong HTTP/1.1\r\nhost: t\r\ncontent-length: 4\r\ncontent-length: 9\r\n\r\n[{},]",
        b"POST /v1/kong HTTP/1.1\r\nhost: t\r\ncontent-length: -1\r\n\r\n[{},]",
    ] {
        let mut client = Client::to(running.address).await;
        client.send(half).await;
        client.stream.shutdown().await.unwrap();
        let answer = client.answer().await;
        assert!(answer.is_none_or(|answer| answer.status >= 400));
    }
    // A length below the body: the rest is no request.
    let mut client = Client::to(running.address).await;
    client.send("POST /v1/kong HTTP/1.1\r\nhost: t\r\ncontent-length: 2\r\n\r\n{}[{\"a\":1}]\r\n\r\n").await;
    assert_eq!(client.answer().await.unwrap().status, 200);
    assert!(client.answer().await.is_none_or(|answer| answer.status == 400));
    running.stop().await;
    assert_eq!(accept.bodies(), [b"{}".to_vec()]);
}

#[tokio::test]
async fn a_slow_body_times_out_and_hurts_nobody_else() {
    let accept = RecordingAccept::open();
    let running = start(HttpConfig { body_timeout_seconds: 1, ..config() }, accept.clone()).await;
    let mut slow = Client::to(running.address).await;
    slow.send("POST /v1/kong HTTP/1.1\r\nhost: t\r\ncontent-length: 1000\r\n\r\n[").await;
    let mut other = Client::to(running.address).await;
    assert_eq!(other.post("/v1/kong", "", b"{}").await.status, 200);
    let answer = slow.answer().await.unwrap();
    assert_eq!((answer.status, answer.header("connection")), (408, Some("close")));
    assert!(slow.answer().await.is_none());
    assert_eq!(accept.bodies(), [b"{}".to_vec()]);
    running.stop().await;
}

#[tokio::test]
async fn a_slow_head_ends_its_connection() {
    let config = HttpConfig { header_timeout_seconds: 1, connections_max: 1, ..config() };
    let running = start(config, RecordingAccept::open()).await;
    let mut slow = Client::to(running.address).await;
    slow.send("POST /v1/kong HT").await;
    let mut other = Client::to(running.address).await;
    assert_eq!(other.read("/healthz").await.status, 200, "the place is free again");
    assert!(slow.answer().await.is_none());
    running.stop().await;
}

#[tokio::test]
async fn a_full_receiver_answers_at_once_and_recovers() {
    let accept = RecordingAccept::with_gate(0);
    let mib = 1 << 20;
    let sizes = HttpConfig { body_bytes_max: 16 * mib, inflated_bytes_max: 16 * mib, ..config() };
    let running = start(HttpConfig { in_flight_bytes_max: 16 * mib, ..sizes }, accept.clone()).await;
    let mut first = Client::to(running.address).await;
    first.send(request("POST", "/v1/kong", "", &vec![b' '; 10 << 20])).await;
    accept.entered.notified().await;
    let mut second = Client::to(running.address).await;
    second
        .send("POST /v1/kong HTTP/1.1\r\nhost: t\r\nexpect: 100-continue\r\ncontent-length: 8000000\r\n\r\n")
        .await;
    let answer = second.answer().await.unwrap();
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("1")));
    // Without a length, and inflating: found out while reading.
    let mut third = Client::to(running.address).await;
    let bomb = gzip(&vec![b' '; 12 << 20]);
    assert_eq!(third.post("/v1/kong", "content-encoding: gzip\r\n", &bomb).await.status, 503);
    accept.gate.add_permits(2);
    assert_eq!(first.answer().await.unwrap().status, 200);
    assert_eq!(first.post("/v1/kong", "content-encoding: gzip\r\n", &bomb).await.status, 200);
    running.stop().await;
}

#[tokio::test]
async fn shutdown_finishes_the_request_in_flight_and_takes_no_other() {
    let accept = RecordingAccept::with_gate(0);
    let running = start(config(), accept.clone()).await;
    let address = running.address;
    let mut idle = Client::to(address).await;
    assert_eq!(idle.read("/healthz").await.status, 200);
    let mut client = Client::to(address).await;
    client.send(request("POST", "/v1/kong", "", b"{}")).await;
    accept.entered.notified().await;
    let stopping = tokio::spawn(running.stop());
    assert!(idle.answer().await.is_none(), "a connection without a request ends first");
    assert!(TcpStream::connect(address).await.is_err());
    accept.gate.add_permits(1);
    let answer = client.answer().await.unwrap();
    assert_eq!((answer.status, answer.header("connection")), (200, Some("close")));
    stopping.await.unwrap();
    assert_eq!(accept.bodies(), [b"{}".to_vec()]);
}

#[tokio::test]
async fn a_panic_of_the_accept_side_is_a_refusal() {
    struct Panics;
    #[async_trait]
    impl Accept for Panics {
        async fn accept(&self, _: Delivery) -> Result<Accepted, Refusal> {
            panic!("planted");
        }
    }
    let running = start(config(), Arc::new(Panics)).await;
    let mut client = Client::to(running.address).await;
    assert_eq!(client.post("/v1/kong", "", b"{}").await.status, 503);
    assert_eq!(client.read("/healthz").await.status, 200);
    running.stop().await;
}
