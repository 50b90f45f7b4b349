//! Accept: deliveries of every receiver become records of the log.
//!
//! - In: deliveries of the HTTP receiver and the Kafka source.
//! - Out: Ok when everything inside is durable; else why it must be sent again.
//! - Keeps: bytes that are being handled, as a bound; counters.

use super::current::Current;
use super::log_records::{LogForm, Portions, broken_log_records, log_records};
use async_trait::async_trait;
use corridor_intake::delivery::{Accept, Accepted, Defect, Delivery, Refusal};
use corridor_intake::log::{Log, LogError};
use corridor_refine::Context;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// When to send again what was refused because something is full.
const RETRY_AFTER: Duration = Duration::from_secs(2);

/// Bodies from this size on are refined where they do not hold up other requests.
const LARGE_BODY: usize = 512 << 10;

/// Portions of a large delivery that wait for the log.
const PORTIONS_WAITING: usize = 2;

/// What intake counted since the process started.
#[derive(Debug, Default)]
pub struct IntakeCounts {
    /// Deliveries that were accepted.
    pub deliveries: AtomicU64,
    /// Events in them.
    pub events: AtomicU64,
    /// Rejects in them.
    pub rejects: AtomicU64,
    /// Deliveries that were refused.
    pub refused: AtomicU64,
}

/// Refines deliveries and appends them to the log.
pub struct Intake {
    log: Arc<dyn Log>,
    current: Arc<Current>,
    form: LogForm,
    counts: Arc<IntakeCounts>,
}

impl Intake {
    /// Appends to this log, refining with the directory of the moment.
    pub fn new(log: Arc<dyn Log>, current: Arc<Current>, keeps_records: bool) -> Self {
        let form = LogForm {
            shard_count: log.shard_count(),
            keeps_records,
            record_bytes_max: log.record_bytes_max(),
        };
        Self { log, current, form, counts: Arc::default() }
    }

    /// What was counted.
    pub fn counts(&self) -> Arc<IntakeCounts> {
        Arc::clone(&self.counts)
    }

    /// A small delivery is refined at once, and appended as one portion.
    async fn accept_small(&self, incoming: &Incoming, context: &Context) -> Result<Accepted, LogError> {
        let mut records = Vec::new();
        let accepted = incoming.log_records(context, self.form, &mut |portion| records.extend(portion));
        if !records.is_empty() {
            self.log.append(records).await?;
        }
        Ok(accepted)
    }

    /// A large one is refined on a thread of its own, and never more than a few portions of it are in memory.
    async fn accept_large(&self, incoming: Incoming, context: Arc<Context>) -> Result<Accepted, LogError> {
        let (sender, mut portions) = tokio::sync::mpsc::channel(PORTIONS_WAITING);
        let form = self.form;
        let refining = tokio::task::spawn_blocking(move || {
            // When the log refused a portion, nobody takes the others: the whole delivery comes again.
            incoming.log_records(&context, form, &mut |portion| drop(sender.blocking_send(portion)))
        });
        while let Some(portion) = portions.recv().await {
            self.log.append(portion).await?;
        }
        refining.await.map_err(|error| LogError::Unavailable(format!("refine a delivery: {error}")))
    }

    async fn take(&self, incoming: Incoming) -> Result<Accepted, Refusal> {
        let context = self.current.context();
        let accepted = match incoming.delivery.body.len() < LARGE_BODY {
            true => self.accept_small(&incoming, &context).await,
            false => self.accept_large(incoming, context).await,
        };
        let add = |count: &AtomicU64, number| {
            count.fetch_add(number, Ordering::Relaxed);
        };
        match accepted {
            Ok(accepted) => {
                add(&self.counts.deliveries, 1);
                add(&self.counts.events, accepted.events);
                add(&self.counts.rejects, accepted.rejects);
                Ok(accepted)
            }
            Err(error) => {
                add(&self.counts.refused, 1);
                Err(refusal(error))
            }
        }
    }
}

/// A delivery, and what is wrong with its body.
struct Incoming {
    delivery: Delivery,
    defect: Option<Defect>,
}

impl Incoming {
    fn log_records(&self, context: &Context, form: LogForm, portions: Portions<'_>) -> Accepted {
        match &self.defect {
            None => log_records(&self.delivery, context, form, portions),
            Some(defect) => broken_log_records(&self.delivery, defect, context, form, portions),
        }
    }
}

#[async_trait]
impl Accept for Intake {
    async fn accept(&self, delivery: Delivery) -> Result<Accepted, Refusal> {
        self.take(Incoming { delivery, defect: None }).await
    }

    async fn accept_broken(&self, delivery: Delivery, defect: Defect) -> Result<Accepted, Refusal> {
        self.take(Incoming { delivery, defect: Some(defect) }).await
    }
}

fn refusal(error: LogError) -> Refusal {
    match error {
        LogError::Full(reason) => Refusal::Busy { retry_after: RETRY_AFTER, reason },
        error @ (LogError::Gone { .. } | LogError::Unavailable(_) | LogError::Unusable(_)) => {
            tracing::warn!(%error, "a delivery was refused");
            Refusal::Log(error.to_string())
        }
    }
}
