//! TLS: certificate, key and the authorities of clients, from PEM files that may be replaced while running.
//!
//! - In: the paths of the settings.
//! - Out: an acceptor for each new connection.
//! - Keeps: the configuration in use, and a hash of the files to see changes.
//! - Invariants: files that cannot be used change nothing but the log. With authorities, no client comes in without a certificate.

use super::{HttpError, TlsConfig};
use rustls::RootCertStore;
use rustls::ServerConfig;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use std::sync::{Arc, RwLock};
use tokio_rustls::TlsAcceptor;

/// The configuration in use, and where it comes from.
pub(super) struct TlsKeeper {
    files: TlsConfig,
    loaded: RwLock<Loaded>,
}

struct Loaded {
    files: [u8; 32],
    config: Arc<ServerConfig>,
}

/// Contents of the files.
struct Pems {
    certificate: Vec<u8>,
    key: Vec<u8>,
    client_ca: Option<Vec<u8>>,
}

impl TlsKeeper {
    /// Reads and checks the files.
    pub(super) async fn load(files: &TlsConfig) -> Result<Self, HttpError> {
        let pems = Pems::read(files).await?;
        let config = server_config(files, &pems)?;
        Ok(Self { files: files.clone(), loaded: RwLock::new(Loaded { files: pems.digest(), config }) })
    }

    /// Reads the files again; open connections keep what they have.
    pub(super) async fn reload(&self) {
        let pems = match Pems::read(&self.files).await {
            Ok(pems) => pems,
            Err(error) => {
                tracing::warn!(%error, "read TLS files again; the old ones stay in use");
                return;
            }
        };
        let mut loaded = self.loaded.write().unwrap_or_else(|poisoned| poisoned.into_inner());
        let files = pems.digest();
        if loaded.files == files {
            return;
        }
        loaded.files = files;
        match server_config(&self.files, &pems) {
            Ok(config) => {
                tracing::info!(certificate = %self.files.certificate.display(), "TLS files changed");
                loaded.config = config;
            }
            Err(error) => tracing::error!(%error, "TLS files not changed; the old ones stay in use"),
        }
    }

    /// For a new connection.
    pub(super) fn acceptor(&self) -> TlsAcceptor {
        let loaded = self.loaded.read().unwrap_or_else(|poisoned| poisoned.into_inner());
        TlsAcceptor::from(Arc::clone(&loaded.config))
    }
}

impl Pems {
    async fn read(files: &TlsConfig) -> Result<Self, HttpError> {
        let client_ca = match &files.client_ca {
            Some(path) => Some(read(path).await?),
            None => None,
        };
        Ok(Self { certificate: read(&files.certificate).await?, key: read(&files.key).await?, client_ca })
    }

    fn digest(&self) -> [u8; 32] {
        let mut hasher = Sha256::new();
        for part in [&self.certificate, &self.key].into_iter().chain(&self.client_ca) {
            hasher.update(Sha256::digest(part));
        }
        hasher.finalize().into()
    }
}

async fn read(path: &Path) -> Result<Vec<u8>, HttpError> {
    tokio::fs::read(path).await.map_err(|error| failed(path, error.to_string()))
}

fn failed(path: &Path, reason: impl Into<String>) -> HttpError {
    HttpError::File { path: PathBuf::from(path), reason: reason.into() }
}

fn server_config(files: &TlsConfig, pems: &Pems) -> Result<Arc<ServerConfig>, HttpError> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let chain = certificates(&files.certificate, &pems.certificate)?;
    // The parser's message is not repeated: it could hold a part of the key.
    let key = PrivateKeyDer::from_pem_slice(&pems.key)
        .map_err(|_| failed(&files.key, "no private key in PEM form in it"))?;
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| failed(&files.certificate, error.to_string()))?;
    let builder = match (&files.client_ca, &pems.client_ca) {
        (Some(path), Some(pem)) => builder.with_client_cert_verifier(client_verifier(path, pem, provider)?),
        _ => builder.with_no_client_auth(),
    };
    let mut config = builder
        .with_single_cert(chain, key)
        .map_err(|error| failed(&files.certificate, format!("does not fit its key: {error}")))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

fn client_verifier(
    path: &Path,
    pem: &[u8],
    provider: Arc<CryptoProvider>,
) -> Result<Arc<dyn rustls::server::danger::ClientCertVerifier>, HttpError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path, pem)? {
        roots.add(certificate).map_err(|error| failed(path, error.to_string()))?;
    }
    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
        .build()
        .map_err(|error| failed(path, error.to_string()))
}

fn certificates(path: &Path, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, HttpError> {
    let parsed: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match parsed {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        Ok(_) => Err(failed(path, "no certificate in PEM form in it")),
        Err(error) => Err(failed(path, error.to_string())),
    }
}
