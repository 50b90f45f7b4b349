//! Bursts and many connections.

use super::*;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

/// Counts bytes and forgets the rest.
#[derive(Default)]
struct CountingAccept {
    bodies: AtomicUsize,
}

#[async_trait]
impl Accept for CountingAccept {
    async fn accept(&self, _: Delivery) -> Result<Accepted, Refusal> {
        self.bodies.fetch_add(1, Ordering::Relaxed);
        Ok(Accepted { events: 1, rejects: 0 })
    }
}

/// Sends `batches` over one connection, a few ahead of their answers.
async fn burst(address: SocketAddr, batches: usize, body: Arc<Vec<u8>>) {
    let mut client = Client::to(address).await;
    let one = request("POST", "/v1/kong", "", &body);
    for sent in 0..batches {
        client.send(&one).await;
        assert_eq!(client.answer().await.unwrap().status, 200, "{sent}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bursts_of_single_entries_and_of_batches_are_all_taken() {
    let entry = format!("{{\"request\":{{\"id\":\"{}\"}}}}", "x".repeat(2500));
    for (entries_per_batch, batches_per_connection) in [(1, 625), (100, 25)] {
        let accept = Arc::new(CountingAccept::default());
        let running = start(config(), accept.clone()).await;
        let body = Arc::new(format!("[{}]", vec![entry.as_str(); entries_per_batch].join(",")).into_bytes());
        let started = Instant::now();
        let senders: Vec<_> = (0..16)
            .map(|_| tokio::spawn(burst(running.address, batches_per_connection, Arc::clone(&body))))
            .collect();
        for sender in senders {
            sender.await.unwrap();
        }
        let seconds = started.elapsed().as_secs_f64();
        let batches = 16 * batches_per_connection;
        assert_eq!(accept.bodies.load(Ordering::Relaxed), batches);
        println!(
            "{entries_per_batch} per batch: {:.0} events/s",
            (batches * entries_per_batch) as f64 / seconds
        );
        running.stop().await;
    }
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let accept = RecordingAccept::open();
    let running = start(config(), accept.clone()).await;
    let mut client = Client::to(running.address).await;
    let all: Vec<u8> =
        (0..100).flat_map(|n: u32| request("POST", "/v1/kong", "", n.to_string().as_bytes())).collect();
    client.send(all).await;
    for _ in 0..100 {
        assert_eq!(client.answer().await.unwrap().status, 200);
    }
    let want: Vec<_> = (0..100u32).map(|n| n.to_string().into_bytes()).collect();
    assert_eq!(accept.bodies(), want);
    running.stop().await;
}
