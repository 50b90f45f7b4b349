//! Emulator: Azurite, started for one test and stopped after it.
//!
//! - In: `scripts/azurite.sh`, which installs it when it is missing.
//! - Out: its URL, and a reader of its containers.
//! - Keeps: the process and its data folder, until it is dropped.

use crate::python::repository;
use corridor_lake::store::{Lake, StoreKind};
use object_store::azure::MicrosoftAzureBuilder;
use object_store::path::Path as ObjectPath;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

/// The emulator's one account and its key, which stand in its README and are no secret.
const ACCOUNT: &str = "devstoreaccount1";
const PUBLIC_KEY: &str =
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

/// A running emulator.
#[derive(Debug)]
pub struct Emulator {
    script: Child,
    url: String,
    _data: tempfile::TempDir,
}

impl Emulator {
    /// Starts it on a free port with these containers.
    ///
    /// # Panics
    /// When it does not come up.
    pub fn start(containers: &[&str]) -> Self {
        let data = tempfile::tempdir().expect("a temporary folder can be made");
        let port = free_port().to_string();
        let mut script = Command::new(repository().join("scripts/azurite.sh"))
            .arg(&port)
            .arg(data.path())
            .args(containers)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("scripts/azurite.sh starts");
        let said = BufReader::new(script.stdout.take().expect("it is piped")).lines().map_while(Result::ok);
        let ready = said.into_iter().find_map(|line| line.strip_prefix("ready ").map(String::from));
        let url = ready.unwrap_or_else(|| panic!("the emulator did not come up on port {port}"));
        Self { script, url, _data: data }
    }

    /// Where it answers, without the scheme.
    pub fn address(&self) -> &str {
        self.url.strip_prefix("http://").unwrap_or(&self.url)
    }

    /// The variables that lead the program to it.
    pub fn variables(&self) -> [(&'static str, &str); 2] {
        [("AZURE_STORAGE_USE_EMULATOR", "true"), ("AZURITE_BLOB_STORAGE_URL", &self.url)]
    }

    /// A container, or a folder of it, as the product's store sees it.
    ///
    /// # Panics
    /// When the client refuses its settings.
    pub fn open(&self, container: &str, prefix: &str) -> Lake {
        let builder = MicrosoftAzureBuilder::new()
            .with_account(ACCOUNT)
            .with_access_key(PUBLIC_KEY)
            .with_endpoint(format!("{}/{ACCOUNT}", self.url))
            .with_container_name(container)
            .with_allow_http(true);
        let store = builder.build().expect("the settings are complete");
        Lake::new(Arc::new(store), ObjectPath::from(prefix), StoreKind::ObjectStore, container)
    }

    /// Every object below a prefix, by its key.
    ///
    /// # Panics
    /// When the emulator fails.
    pub async fn objects(&self, container: &str, prefix: &str) -> BTreeMap<String, Vec<u8>> {
        let lake = self.open(container, prefix);
        let mut found = BTreeMap::new();
        for object in lake.list("").await.expect("the emulator lists") {
            let bytes = lake.read(&object.key).await.expect("the emulator answers").expect("it was listed");
            found.insert(object.key, bytes.to_vec());
        }
        found
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        // SIGTERM lets the script stop the emulator, too.
        let sent = Command::new("kill").args(["-TERM", &self.script.id().to_string()]).status();
        if sent.is_ok_and(|status| status.success()) {
            let _ = self.script.wait();
        }
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("there is a free port");
    listener.local_addr().expect("it is bound").port()
}
