//! Token: one exchange of what we have for a bearer token.
//!
//! - In: a [`TokenGrant`] and a scope. Files are read again at each exchange, because the platform replaces them.
//! - Out: a [`Token`], or why there is none, without any secret.
//! - Keeps: nothing.

use crate::kafka::{Clock, KafkaError};
use corridor_model::Micros;
use reqwest::Url;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Where tokens come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "method", rename_all = "snake_case", deny_unknown_fields)]
pub enum TokenGrant {
    /// A token of the cluster, which Entra trusts, for one of Entra (AKS workload identity). Absent values come from `AZURE_*`.
    WorkloadIdentity {
        /// Entra tenant.
        tenant: Option<String>,
        /// Application or managed identity.
        client_id: Option<String>,
        /// File with the cluster's token, read at each exchange.
        federated_token_file: Option<PathBuf>,
        /// Where Entra is; the public cloud when absent.
        authority_host: Option<String>,
    },
    /// The identity of the machine or container.
    ManagedIdentity {
        /// Which one, when there are several.
        client_id: Option<String>,
        /// Where to ask; the instance metadata service when absent.
        endpoint: Option<String>,
        /// What App Service and Container Apps want to see with the request; only from `IDENTITY_HEADER`.
        #[serde(skip)]
        header: Option<Secret>,
    },
    /// A client and its secret, at any OAuth server.
    ClientCredentials {
        /// The token endpoint.
        token_url: String,
        /// The client.
        client_id: String,
        /// File with its secret, read at each exchange.
        client_secret_file: PathBuf,
    },
}

/// Text that is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// A bearer token.
#[derive(Debug, Clone)]
pub struct Token {
    value: Secret,
    /// When it was asked for.
    pub asked_at: Micros,
    /// When it ends.
    pub expires_at: Micros,
}

impl Token {
    /// The token itself.
    pub fn reveal(&self) -> &str {
        &self.value.0
    }
}

const AUTHORITY: &str = "https://login.microsoftonline.com";
const IMDS: &str = "http://169.254.169.254/metadata/identity/oauth2/token";
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// Longest wait for a token endpoint.
pub(crate) const EXCHANGE_SECONDS_MAX: Duration = Duration::from_secs(10);

/// A token endpoint's answer is a few kilobytes; a larger one is no token.
const ANSWER_BYTES_MAX: usize = 256 * 1024;

/// Life of a token whose endpoint does not say.
const UNSTATED_LIFE_SECONDS: i64 = 300;

impl TokenGrant {
    /// Completes what is absent from the variables that AKS and Azure hosts set.
    pub fn fill_from_environment(&mut self, variable: impl Fn(&str) -> Option<String>) {
        match self {
            Self::WorkloadIdentity { tenant, client_id, federated_token_file, authority_host } => {
                fill(tenant, variable("AZURE_TENANT_ID"));
                fill(client_id, variable("AZURE_CLIENT_ID"));
                fill(authority_host, variable("AZURE_AUTHORITY_HOST"));
                let file = variable("AZURE_FEDERATED_TOKEN_FILE").filter(|text| !text.is_empty());
                *federated_token_file = federated_token_file.take().or(file.map(PathBuf::from));
            }
            Self::ManagedIdentity { client_id, endpoint, header } => {
                fill(client_id, variable("AZURE_CLIENT_ID"));
                if endpoint.is_none() {
                    fill(endpoint, variable("IDENTITY_ENDPOINT"));
                    *header = variable("IDENTITY_HEADER").map(Secret);
                }
            }
            Self::ClientCredentials { .. } => {}
        }
    }

    /// What is missing.
    pub fn problems(&self) -> Vec<String> {
        let Self::WorkloadIdentity { tenant, client_id, federated_token_file, .. } = self else {
            return Vec::new();
        };
        let needed = [
            (tenant.is_none(), "tenant", "AZURE_TENANT_ID"),
            (client_id.is_none(), "client_id", "AZURE_CLIENT_ID"),
            (federated_token_file.is_none(), "federated_token_file", "AZURE_FEDERATED_TOKEN_FILE"),
        ];
        let missing = needed.iter().filter(|(is_missing, ..)| *is_missing);
        missing.map(|(_, key, name)| format!("workload_identity needs `{key}` or {name}")).collect()
    }

    /// The name that librdkafka shows for the token's holder; brokers take theirs from the token.
    pub fn principal_name(&self) -> &str {
        match self {
            Self::WorkloadIdentity { client_id, .. } | Self::ManagedIdentity { client_id, .. } => {
                client_id.as_deref().unwrap_or("corridor")
            }
            Self::ClientCredentials { client_id, .. } => client_id,
        }
    }

    /// Asks for a token.
    ///
    /// # Errors
    /// The endpoint's status and error code, never its text: that may repeat what we sent.
    pub async fn exchange(
        &self,
        http: &reqwest::Client,
        scope: &str,
        clock: &Clock,
    ) -> Result<Token, KafkaError> {
        let asked_at = clock();
        let (url, request) = self.request(http, scope)?;
        let url = url.split('?').next().unwrap_or_default().to_owned();
        let failed = |what: String| KafkaError::Token(format!("{what} ({url})"));
        // The error of reqwest may hold the URL with its query, so only its kind is told.
        let answer = request
            .timeout(EXCHANGE_SECONDS_MAX)
            .send()
            .await
            .map_err(|error| failed(format!("the endpoint did not answer: {}", innermost(&error))))?;
        let status = answer.status();
        let body = read_bounded(answer).await.map_err(failed)?;
        if !status.is_success() {
            return Err(failed(format!("the endpoint answered {}{}", status.as_u16(), error_code(&body))));
        }
        let parsed: Answer = serde_json::from_slice(&body)
            .map_err(|_| failed("the endpoint's answer holds no access_token".into()))?;
        Ok(parsed.into_token(asked_at))
    }

    /// The request, and the URL that errors may show.
    fn request(
        &self,
        http: &reqwest::Client,
        scope: &str,
    ) -> Result<(String, reqwest::RequestBuilder), KafkaError> {
        match self {
            Self::WorkloadIdentity { tenant, client_id, federated_token_file, authority_host } => {
                let path = federated_token_file.as_deref().unwrap_or(Path::new(""));
                let assertion = read_secret("the federated token", path)?;
                let host = authority_host.as_deref().unwrap_or(AUTHORITY).trim_end_matches('/');
                let url = format!("{host}/{}/oauth2/v2.0/token", tenant.as_deref().unwrap_or_default());
                let fields = [
                    ("grant_type", "client_credentials"),
                    ("client_id", client_id.as_deref().unwrap_or_default()),
                    ("scope", scope),
                    ("client_assertion_type", ASSERTION_TYPE),
                    ("client_assertion", &assertion),
                ];
                Ok((url.clone(), post_form(http, &url, &fields)))
            }
            Self::ClientCredentials { token_url, client_id, client_secret_file } => {
                let secret = read_secret("the client secret", client_secret_file)?;
                let fields = [
                    ("grant_type", "client_credentials"),
                    ("client_id", client_id),
                    ("scope", scope),
                    ("client_secret", &secret),
                ];
                Ok((token_url.clone(), post_form(http, token_url, &fields)))
            }
            Self::ManagedIdentity { client_id, endpoint, header } => {
                let url = endpoint.as_deref().unwrap_or(IMDS);
                let resource = scope.strip_suffix("/.default").unwrap_or(scope);
                let version = if header.is_some() { "2019-08-01" } else { "2018-02-01" };
                let mut fields = vec![("api-version", version), ("resource", resource)];
                fields.extend(client_id.as_deref().map(|id| ("client_id", id)));
                let request = http.get(format!("{url}?{}", form(&fields)));
                let request = match header {
                    Some(secret) => request.header("X-IDENTITY-HEADER", &secret.0),
                    None => request.header("Metadata", "true"),
                };
                Ok((url.to_owned(), request))
            }
        }
    }
}

fn fill(slot: &mut Option<String>, value: Option<String>) {
    if slot.is_none() {
        *slot = value.filter(|text| !text.is_empty());
    }
}

fn post_form(http: &reqwest::Client, url: &str, fields: &[(&str, &str)]) -> reqwest::RequestBuilder {
    http.post(url).header("content-type", "application/x-www-form-urlencoded").body(form(fields))
}

fn form(fields: &[(&str, &str)]) -> String {
    let mut url = Url::parse("http://form/").expect("a constant that parses");
    url.query_pairs_mut().extend_pairs(fields);
    url.query().unwrap_or_default().to_owned()
}

/// Reads a file that holds one secret. The end of the line is not part of it.
pub(crate) fn read_secret(what: &'static str, path: &Path) -> Result<String, KafkaError> {
    let to_error = |source| KafkaError::SecretFile { what, path: path.display().to_string(), source };
    let text = std::fs::read_to_string(path).map_err(to_error)?;
    let secret = text.trim_end_matches(['\n', '\r']);
    if secret.is_empty() {
        let source = std::io::Error::new(std::io::ErrorKind::InvalidData, "the file is empty");
        return Err(to_error(source));
    }
    Ok(secret.to_owned())
}

async fn read_bounded(mut answer: reqwest::Response) -> Result<Vec<u8>, String> {
    let mut body = Vec::new();
    while let Some(chunk) =
        answer.chunk().await.map_err(|error| format!("the answer broke off: {}", innermost(&error)))?
    {
        body.extend_from_slice(&chunk);
        if body.len() > ANSWER_BYTES_MAX {
            return Err(format!("the answer is longer than {ANSWER_BYTES_MAX} bytes"));
        }
    }
    Ok(body)
}

fn innermost(error: &dyn std::error::Error) -> String {
    let mut current = error;
    while let Some(source) = current.source() {
        current = source;
    }
    current.to_string()
}

/// The OAuth error code, and Entra's number in the description: short words that cannot carry a secret.
fn error_code(body: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Refused {
        error: Option<String>,
        error_description: Option<String>,
    }
    let Ok(refused) = serde_json::from_slice::<Refused>(body) else { return String::new() };
    let is_word = |text: &String| {
        text.len() <= 64 && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
    };
    let code = refused.error.filter(is_word);
    let number = refused.error_description.and_then(|text| {
        let digits: String =
            text.strip_prefix("AADSTS")?.chars().take(12).take_while(char::is_ascii_digit).collect();
        (!digits.is_empty()).then(|| format!("AADSTS{digits}"))
    });
    code.into_iter().chain(number).map(|part| format!(" {part}")).collect()
}

#[derive(Deserialize)]
struct Answer {
    access_token: String,
    /// A number, or a number as text (the metadata service).
    expires_in: Option<serde_json::Value>,
}

impl Answer {
    fn into_token(self, asked_at: Micros) -> Token {
        let seconds = match &self.expires_in {
            Some(serde_json::Value::String(text)) => text.parse().ok(),
            Some(value) => value.as_i64(),
            None => None,
        };
        let life = seconds.filter(|life| *life > 0).unwrap_or(UNSTATED_LIFE_SECONDS).min(7 * 86_400);
        let expires_at = Micros(asked_at.0 + life * corridor_model::time::SECOND);
        Token { value: Secret(self.access_token), asked_at, expires_at }
    }
}

#[cfg(test)]
mod tests;
