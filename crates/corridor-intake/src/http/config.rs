//! Settings of the receiver.
//!
//! - In: the `[http]` table of the configuration.
//! - Out: [`HttpConfig`], and all its problems at once.
//! - Keeps: nothing.
//! - Invariants: a body that is allowed can always be admitted, or it would be refused for ever.

use serde::{Deserialize, Serialize};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

const MIB: u64 = 1 << 20;
/// Gateways batch up to thousands of entries: a smaller limit would turn honest batches into rejects.
const BODY_BYTES_FLOOR: u64 = 16 * MIB;
/// Admission counts in units of a KiB with 32 bits.
const IN_FLIGHT_BYTES_CEILING: u64 = 1 << 40;

/// Settings of the HTTP receiver.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HttpConfig {
    /// Address and port. The default is reached from this host only.
    pub listen: SocketAddr,
    /// Largest body as it is sent, compressed or not. What is above becomes a reject.
    pub body_bytes_max: u64,
    /// Largest body after decompression. What is above becomes a reject.
    pub inflated_bytes_max: u64,
    /// Memory for all bodies being handled; above it the answer is 503.
    pub in_flight_bytes_max: u64,
    /// File with one bearer token per line; several are valid at once, for rotation. It is read again when it changes.
    /// Without it anybody who reaches the port may post.
    pub token_file: Option<PathBuf>,
    /// Certificate and key; without them the receiver speaks plain HTTP.
    pub tls: Option<TlsConfig>,
    /// Time for a whole request head, and for the next one on a kept connection. Kong keeps idle connections for 60 s.
    pub header_timeout_seconds: u32,
    /// Time for a whole body.
    pub body_timeout_seconds: u32,
    /// Connections at once; more wait in the system's queue.
    pub connections_max: u32,
    /// Time for requests in flight when the process stops.
    pub shutdown_seconds: u32,
}

/// PEM files for TLS. They are read again when they change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsConfig {
    /// The server's certificate, followed by its intermediates.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// Authorities of client certificates; when set, a client without one is refused.
    pub client_ca: Option<PathBuf>,
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)),
            body_bytes_max: 64 * MIB,
            inflated_bytes_max: 256 * MIB,
            in_flight_bytes_max: 256 * MIB,
            token_file: None,
            tls: None,
            header_timeout_seconds: 75,
            body_timeout_seconds: 30,
            connections_max: 1024,
            shutdown_seconds: 20,
        }
    }
}

impl HttpConfig {
    /// Everything that is wrong with the values, in words for the operator; files are looked at later.
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let mut demand = |holds: bool, problem: &str| {
            if !holds {
                problems.push(problem.to_owned());
            }
        };
        demand(
            self.body_bytes_max >= BODY_BYTES_FLOOR,
            "body_bytes_max is below 16777216 (16 MiB), which honest batches may reach; raise it",
        );
        demand(
            self.inflated_bytes_max >= self.body_bytes_max,
            "inflated_bytes_max is below body_bytes_max; raise it",
        );
        demand(
            self.in_flight_bytes_max >= self.inflated_bytes_max,
            "in_flight_bytes_max is below inflated_bytes_max, so a body could be refused for ever; raise it",
        );
        demand(
            self.in_flight_bytes_max <= IN_FLIGHT_BYTES_CEILING,
            "in_flight_bytes_max is above 1 TiB; lower it",
        );
        for (name, value) in [
            ("header_timeout_seconds", self.header_timeout_seconds),
            ("body_timeout_seconds", self.body_timeout_seconds),
            ("connections_max", self.connections_max),
        ] {
            demand(value > 0, &format!("{name} is 0; set at least 1"));
        }
        problems
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn minimal_and_full_settings_load_and_a_typo_is_refused() {
        assert_eq!(toml::from_str::<HttpConfig>("").unwrap(), HttpConfig::default());
        let full = r#"
            listen = "0.0.0.0:8443"
            body_bytes_max = 16777216
            inflated_bytes_max = 67108864
            in_flight_bytes_max = 134217728
            token_file = "/etc/corridor/tokens"
            header_timeout_seconds = 10
            body_timeout_seconds = 20
            connections_max = 64
            shutdown_seconds = 5
            [tls]
            certificate = "/etc/corridor/tls.crt"
            key = "/etc/corridor/tls.key"
            client_ca = "/etc/corridor/ca.crt"
        "#;
        let config: HttpConfig = toml::from_str(full).unwrap();
        assert_eq!(config.problems(), Vec::<String>::new());
        assert_eq!(config.tls.unwrap().client_ca, Some("/etc/corridor/ca.crt".into()));
        assert!(toml::from_str::<HttpConfig>("body_byte_max = 1").is_err());
    }

    #[test]
    fn all_problems_are_told_at_once() {
        let config = HttpConfig {
            body_bytes_max: 1 << 20,
            inflated_bytes_max: 1 << 30,
            body_timeout_seconds: 0,
            ..HttpConfig::default()
        };
        assert_eq!(config.problems().len(), 3, "{:?}", config.problems());
    }
}
