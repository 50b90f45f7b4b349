//! Client: from the settings to librdkafka's clients, and what these report.
//!
//! - In: a valid [`KafkaConfig`].
//! - Out: [`ClientConfig`]s for a role, with `Events` that serve tokens and remember the last error.
//! - Keeps: the token keeper, shared by all clients.
//! - Invariants: passwords are read when a client is made, and live only inside librdkafka.

use crate::kafka::config::{KafkaConfig, Profile, Sasl};
use crate::kafka::token::read_secret;
use crate::kafka::token_keeper::{CALLBACK_WAIT_MAX, FIRST_WAIT_MAX, TokenKeeper};
use crate::kafka::{Clock, KafkaError};
use rdkafka::client::OAuthToken;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::{KafkaError as ClientError, RDKafkaErrorCode};
use rdkafka::producer::{FutureProducer, Producer};
use rdkafka::{ClientConfig, ClientContext};
use std::error::Error;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long metadata is waited for.
pub(crate) const METADATA_WAIT: Duration = Duration::from_secs(10);

/// An error is part of the explanation of a later failure for this long.
const REASON_AGE_MAX: Duration = Duration::from_secs(60);

/// Settings of every client, which profile and operator may change.
const COMMON: &[(&str, &str)] = &[
    ("client.id", "corridor"),
    ("socket.keepalive.enable", "true"),
    // The default grows to 10 s, in which a broker that is back stays unused.
    ("reconnect.backoff.ms", "100"),
    ("reconnect.backoff.max.ms", "1000"),
    // Idle connections come and go; that is no event.
    ("log.connection.close", "false"),
];

/// Makes clients for one cluster.
#[derive(Clone)]
pub struct KafkaClient {
    config: Arc<KafkaConfig>,
    keeper: Option<Arc<TokenKeeper>>,
    clock: Clock,
}

impl fmt::Debug for KafkaClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KafkaClient").field("bootstrap", &self.config.bootstrap).finish_non_exhaustive()
    }
}

impl KafkaClient {
    /// Checks the settings, and starts to fetch tokens where they are used. Does not connect.
    ///
    /// # Errors
    /// [`KafkaError::Settings`] with every problem.
    pub fn new(config: KafkaConfig, clock: Clock) -> Result<Self, KafkaError> {
        let problems = config.problems();
        if !problems.is_empty() {
            return Err(KafkaError::Settings(problems.join("\n")));
        }
        let keeper = match &config.sasl {
            Some(Sasl::OauthBearer { token, scope }) => {
                let scope = config.token_scope(scope.as_deref());
                let keeper = TokenKeeper::start(token.clone(), scope, Arc::clone(&clock))?;
                Some(Arc::new(keeper))
            }
            Some(_) | None => None,
        };
        let client = Self { config: Arc::new(config), keeper, clock };
        // librdkafka knows the names and ranges of properties.
        client.settings(&[])?.create_native_config().map_err(settings_error)?;
        Ok(client)
    }

    /// Waits until a client can sign in, as far as that depends on us: the first token.
    ///
    /// # Errors
    /// [`KafkaError::Token`] with the endpoint's refusal.
    pub async fn ready(&self) -> Result<(), KafkaError> {
        let Some(keeper) = self.keeper.clone() else { return Ok(()) };
        let first = blocking(move || keeper.token(FIRST_WAIT_MAX)).await?;
        first.map(drop)
    }

    /// Connects and asks for the cluster's id: what `corridor check` does.
    ///
    /// # Errors
    /// Why the cluster cannot be used, with librdkafka's reason.
    pub async fn check(&self) -> Result<String, KafkaError> {
        self.ready().await?;
        let events = self.events("check");
        let producer: FutureProducer<Events> = self
            .settings(&[])?
            .create_with_context(events.clone())
            .map_err(|error| events.unavailable("make a client", &error))?;
        blocking(move || fetch_cluster_id(&producer, &events)).await?
    }

    /// The clock that was handed in.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// The settings.
    pub fn config(&self) -> &KafkaConfig {
        &self.config
    }

    /// True where librdkafka's admin calls work: they never ask for a token.
    pub(crate) fn has_admin_calls(&self) -> bool {
        self.keeper.is_none() && self.config.profile == Profile::Kafka
    }

    /// True where clients sign in with tokens.
    pub(crate) fn has_tokens(&self) -> bool {
        self.keeper.is_some()
    }

    /// What a client reports to; `role` names it in the log.
    pub(crate) fn events(&self, role: &'static str) -> Events {
        Events { role, keeper: self.keeper.clone(), last_error: Arc::default() }
    }

    /// The properties of a client. `guarantees` win over profile and operator.
    pub(crate) fn settings(&self, guarantees: &[(&str, &str)]) -> Result<ClientConfig, KafkaError> {
        self.settings_with(&[], guarantees)
    }

    /// As [`Self::settings`], with `defaults` that profile and operator may change.
    pub(crate) fn settings_with(
        &self,
        defaults: &[(&str, &str)],
        guarantees: &[(&str, &str)],
    ) -> Result<ClientConfig, KafkaError> {
        let mut settings = ClientConfig::new();
        settings.set_log_level(RDKafkaLogLevel::Info);
        for (name, value) in COMMON.iter().chain(defaults).copied().chain(self.config.extra_properties()) {
            settings.set(name, value);
        }
        settings.set("bootstrap.servers", &self.config.bootstrap);
        settings.set("security.protocol", self.config.security.as_str());
        let files = [
            ("ssl.ca.location", &self.config.ca_file),
            ("ssl.certificate.location", &self.config.certificate_file),
            ("ssl.key.location", &self.config.key_file),
        ];
        for (name, file) in files {
            if let Some(path) = file {
                settings.set(name, path.to_string_lossy());
            }
        }
        self.set_sasl(&mut settings)?;
        for (name, value) in guarantees {
            settings.set(*name, *value);
        }
        Ok(settings)
    }

    fn set_sasl(&self, settings: &mut ClientConfig) -> Result<(), KafkaError> {
        let Some(sasl) = &self.config.sasl else { return Ok(()) };
        settings.set("sasl.mechanism", sasl.mechanism());
        match sasl {
            Sasl::Plain { user, password_file }
            | Sasl::ScramSha256 { user, password_file }
            | Sasl::ScramSha512 { user, password_file } => {
                settings.set("sasl.username", user);
                settings.set("sasl.password", read_secret("the SASL password", password_file)?);
            }
            Sasl::OauthBearer { .. } => {}
        }
        Ok(())
    }
}

/// Runs a blocking call of librdkafka beside the runtime.
pub(crate) async fn blocking<T: Send + 'static>(
    call: impl FnOnce() -> T + Send + 'static,
) -> Result<T, KafkaError> {
    let joined = tokio::task::spawn_blocking(call).await;
    joined.map_err(|_| KafkaError::Unavailable("a call to the broker was cut off: shutting down".into()))
}

/// The cluster's id; also the proof that the connection works.
pub(crate) fn fetch_cluster_id(
    producer: &FutureProducer<Events>,
    events: &Events,
) -> Result<String, KafkaError> {
    let id = producer.client().fetch_cluster_id(METADATA_WAIT).filter(|id| !id.is_empty());
    id.ok_or_else(|| {
        let code = ClientError::MetadataFetch(RDKafkaErrorCode::OperationTimedOut);
        events.unavailable("connect to the brokers", &code)
    })
}

/// librdkafka's refusal of a property, without its value: it may be anything.
pub(crate) fn settings_error(error: ClientError) -> KafkaError {
    KafkaError::Settings(match error {
        ClientError::ClientConfig(_, reason, name, value) if !value.is_empty() => {
            format!("property {name}: {}", reason.replace(&value, "(its value)"))
        }
        ClientError::ClientConfig(_, reason, name, _) => format!("property {name}: {reason}"),
        other => other.to_string(),
    })
}

/// What a client reports: serves tokens, writes the log, remembers the last error.
#[derive(Clone)]
pub(crate) struct Events {
    role: &'static str,
    keeper: Option<Arc<TokenKeeper>>,
    last_error: Arc<Mutex<Option<(Instant, RDKafkaErrorCode, String)>>>,
}

impl Events {
    /// The last error, if it is recent.
    pub(crate) fn last_error(&self) -> Option<(RDKafkaErrorCode, String)> {
        let last = self.last_error.lock().unwrap_or_else(PoisonError::into_inner);
        let recent = last.as_ref().filter(|(at, ..)| at.elapsed() < REASON_AGE_MAX);
        recent.map(|(_, code, reason)| (*code, reason.clone()))
    }

    /// Forgets the last error: what comes next worked.
    pub(crate) fn clear(&self) {
        *self.last_error.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// The broker refused who we are: a new client reads the password again.
    pub(crate) fn was_refused(&self) -> bool {
        self.last_error().is_some_and(|(code, _)| is_refusal(code))
    }

    /// `error` in the words of what we tried, with the reason that librdkafka gave.
    pub(crate) fn unavailable(&self, tried: &str, error: &ClientError) -> KafkaError {
        KafkaError::Unavailable(self.explain(tried, error))
    }

    /// As [`Self::unavailable`], as text.
    pub(crate) fn explain(&self, tried: &str, error: &ClientError) -> String {
        let code = error.rdkafka_error_code().map_or_else(|| error.to_string(), |code| code.to_string());
        match self.last_error() {
            Some((_, reason)) => format!("{tried}: {code}; last report: {reason}"),
            None => format!("{tried}: {code}"),
        }
    }
}

/// Errors that speak of identity and not of reachability.
pub(crate) fn is_refusal(code: RDKafkaErrorCode) -> bool {
    matches!(
        code,
        RDKafkaErrorCode::Authentication
            | RDKafkaErrorCode::SaslAuthenticationFailed
            | RDKafkaErrorCode::SSL
            | RDKafkaErrorCode::TopicAuthorizationFailed
            | RDKafkaErrorCode::GroupAuthorizationFailed
            | RDKafkaErrorCode::ClusterAuthorizationFailed
    )
}

impl ClientContext for Events {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        let role = self.role;
        match level {
            // Each client gets all properties, and librdkafka says which do not concern it.
            _ if facility == "CONFWARN" => tracing::debug!(role, facility, "{message}"),
            RDKafkaLogLevel::Emerg
            | RDKafkaLogLevel::Alert
            | RDKafkaLogLevel::Critical
            | RDKafkaLogLevel::Error
            | RDKafkaLogLevel::Warning => tracing::warn!(role, facility, "{message}"),
            RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info => {
                tracing::info!(role, facility, "{message}");
            }
            RDKafkaLogLevel::Debug => tracing::debug!(role, facility, "{message}"),
        }
    }

    fn error(&self, error: ClientError, reason: &str) {
        let code = error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Unknown);
        tracing::debug!(role = self.role, %code, reason, "librdkafka reports an error");
        let mut last = self.last_error.lock().unwrap_or_else(PoisonError::into_inner);
        // "All brokers are down" follows the reason why they are: keep that one.
        let is_echo = code == RDKafkaErrorCode::AllBrokersDown
            && last.as_ref().is_some_and(|(at, ..)| at.elapsed() < REASON_AGE_MAX);
        if !is_echo {
            *last = Some((Instant::now(), code, reason.to_owned()));
        }
    }

    fn generate_oauth_token(&self, _config: Option<&str>) -> Result<OAuthToken, Box<dyn Error>> {
        let keeper = self.keeper.as_ref().ok_or("no token is configured")?;
        let token = keeper.token(CALLBACK_WAIT_MAX)?;
        Ok(OAuthToken {
            token: token.reveal().to_owned(),
            principal_name: keeper.principal_name().to_owned(),
            lifetime_ms: token.expires_at.0 / 1000,
        })
    }
}

impl ConsumerContext for Events {}
