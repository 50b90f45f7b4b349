//! Token keeper: fetches tokens ahead of need, so that librdkafka's poll thread does not wait for a token endpoint.
//!
//! - In: a grant and a scope.
//! - Out: the freshest token; a new one for every refresh of a client.
//! - Keeps: one thread, with a runtime of its own: the callback that asks may stand on a thread of the program's runtime.
//! - Invariants: a token that still lives is handed out when the endpoint is down. A wait is bounded.

use crate::kafka::token::{EXCHANGE_SECONDS_MAX, Token, TokenGrant};
use crate::kafka::{Clock, KafkaError};
use corridor_model::time::SECOND;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::Notify;

/// Longest wait of a client's callback for a token.
pub(crate) const CALLBACK_WAIT_MAX: Duration = Duration::from_secs(5);

/// Longest wait for the first token: one exchange and a little.
pub(crate) const FIRST_WAIT_MAX: Duration = EXCHANGE_SECONDS_MAX.saturating_add(Duration::from_secs(2));

/// After a failure the endpoint is asked again this much later, then at twice the distance, up to the maximum.
const RETRY_MIN: Duration = Duration::from_secs(1);
const RETRY_MAX: Duration = Duration::from_secs(30);

/// A client asks again after 80 % of what a token has left, but never within 10 s: less than this left would leave a hole.
const LEFT_MIN: i64 = 30 * SECOND;

#[derive(Debug, Default)]
struct State {
    token: Option<Token>,
    failure: Option<String>,
    attempts: u64,
    is_stopping: bool,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    wanted: Notify,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keeps a token fresh while it lives.
pub struct TokenKeeper {
    shared: Arc<Shared>,
    clock: Clock,
    principal_name: String,
    thread: Option<JoinHandle<()>>,
}

impl TokenKeeper {
    /// Starts to fetch.
    ///
    /// # Errors
    /// When the system gives no thread or the HTTP client cannot be made.
    pub fn start(grant: TokenGrant, scope: String, clock: Clock) -> Result<Self, KafkaError> {
        let unavailable = |what: &str, why: String| KafkaError::Unavailable(format!("{what}: {why}"));
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| unavailable("start the runtime of the token thread", error.to_string()))?;
        // A redirect would carry the assertion to a place that nobody named.
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|error| unavailable("make the HTTP client for tokens", error.to_string()))?;
        let shared = Arc::new(Shared::default());
        let principal_name = grant.principal_name().to_owned();
        let fetcher = Fetcher { shared: Arc::clone(&shared), grant, scope, http, clock: Arc::clone(&clock) };
        let thread = std::thread::Builder::new()
            .name("kafka-tokens".into())
            .spawn(move || runtime.block_on(fetcher.run()))
            .map_err(|error| unavailable("start the token thread", error.to_string()))?;
        Ok(Self { shared, clock, principal_name, thread: Some(thread) })
    }

    /// The name to show for the token's holder.
    pub fn principal_name(&self) -> &str {
        &self.principal_name
    }

    /// A token that is fresh, else after a bounded wait one that still lives.
    ///
    /// # Errors
    /// Why there is none.
    pub fn token(&self, patience: Duration) -> Result<Token, KafkaError> {
        let state = self.shared.lock();
        if let Some(token) = state.token.as_ref().filter(|token| is_fresh(token, (self.clock)().0)) {
            return Ok(token.clone());
        }
        let seen = state.attempts;
        self.shared.wanted.notify_one();
        let waited = self
            .shared
            .changed
            .wait_timeout_while(state, patience, |state| state.attempts == seen && !state.is_stopping);
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        let now = (self.clock)();
        match (&state.token, &state.failure) {
            (Some(token), _) if token.expires_at > now => Ok(token.clone()),
            (_, Some(failure)) => Err(KafkaError::Token(failure.clone())),
            (..) => Err(KafkaError::Token(format!("none came within {} s", patience.as_secs()))),
        }
    }
}

impl Drop for TokenKeeper {
    fn drop(&mut self) {
        self.shared.lock().is_stopping = true;
        self.shared.wanted.notify_one();
        self.shared.changed.notify_all();
        // It may be inside an exchange, which is bounded; nobody needs to wait for that.
        drop(self.thread.take());
    }
}

/// Enough of its life is left that a client will ask again in time.
fn is_fresh(token: &Token, now: i64) -> bool {
    let (age, left) = (now - token.asked_at.0, token.expires_at.0 - now);
    let life = token.expires_at.0 - token.asked_at.0;
    age <= SECOND && left > 0 || left >= LEFT_MIN && left * 5 >= life * 2
}

struct Fetcher {
    shared: Arc<Shared>,
    grant: TokenGrant,
    scope: String,
    http: reqwest::Client,
    clock: Clock,
}

impl Fetcher {
    async fn run(self) {
        let mut retry = RETRY_MIN;
        loop {
            let outcome = self.grant.exchange(&self.http, &self.scope, &self.clock).await;
            let pause = match &outcome {
                Ok(token) => {
                    retry = RETRY_MIN;
                    refresh_after(token)
                }
                Err(_) => {
                    let pause = retry;
                    retry = (retry * 2).min(RETRY_MAX);
                    pause
                }
            };
            self.publish(outcome);
            if self.shared.lock().is_stopping {
                return;
            }
            let _ = tokio::time::timeout(pause, self.shared.wanted.notified()).await;
            if self.shared.lock().is_stopping {
                return;
            }
        }
    }

    fn publish(&self, outcome: Result<Token, KafkaError>) {
        let mut state = self.shared.lock();
        match outcome {
            Ok(token) => {
                state.token = Some(token);
                state.failure = None;
            }
            Err(error) => {
                let text = match error {
                    KafkaError::Token(text) => text,
                    other => describe(&other),
                };
                tracing::warn!(reason = %text, "no OAUTHBEARER token; the last one serves while it lives");
                state.failure = Some(text);
            }
        }
        state.attempts += 1;
        drop(state);
        self.shared.changed.notify_all();
    }
}

fn describe(error: &dyn std::error::Error) -> String {
    match error.source() {
        None => error.to_string(),
        Some(source) => format!("{error}: {source}"),
    }
}

/// Half of its life: the rest bridges an outage of the endpoint.
fn refresh_after(token: &Token) -> Duration {
    let life = token.expires_at.0 - token.asked_at.0;
    Duration::from_micros(u64::try_from(life / 2).unwrap_or(0)).max(RETRY_MIN)
}
