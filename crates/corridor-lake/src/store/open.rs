//! Open: from what the operator typed to a place with a client.
//!
//! - In: a path, `file://`, `az://container/prefix`, `abfss://container@account.dfs.core.windows.net/prefix`,
//!   `https://account.blob.core.windows.net/container/prefix` or `s3://bucket/prefix`; the variables of the cloud
//!   clients (`AZURE_*`, `AZURITE_BLOB_STORAGE_URL`, `AWS_*`).
//! - Out: a `Lake`.
//! - Invariants: no request is sent. Azure is reached by workload identity, managed identity or the Azure CLI; a key
//!   left in the environment never wins over a workload identity. Only a local lake is made when it is missing.

use super::{Lake, StoreError, StoreKind};
use object_store::aws::{AmazonS3Builder, S3ConditionalPut};
use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ClientConfigKey, ObjectStore, RetryConfig};
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// For one whole request: a file of 256 MiB on a slow line takes longer than the client's 30 seconds.
const REQUEST_TIME_MAX: &str = "300s";
/// For the connection alone.
const CONNECT_TIME_MAX: &str = "5s";
/// Retries reuse one token, so they must end well before it does.
const RETRY_TIME_MAX: Duration = Duration::from_secs(180);
/// Before a create whose reply was lost is sent again.
const REPEAT_PAUSE: Duration = Duration::from_secs(1);

/// Opens a lake to write to. A local folder is made when missing.
pub fn open_lake(url: &str) -> Result<Lake, StoreError> {
    match Place::parse(url)? {
        Place::Folder(folder) => {
            std::fs::create_dir_all(&folder).map_err(|source| StoreError::folder(&folder, source))?;
            open_folder(&folder)
        }
        place => open_remote(url, place),
    }
}

/// Opens a lake for a dry run: a folder that is missing stays missing, and an empty store in memory stands for it.
pub fn open_lake_to_plan(url: &str) -> Result<Lake, StoreError> {
    match Place::parse(url)? {
        Place::Folder(folder) if !folder.exists() => {
            Ok(Lake::new(Arc::new(InMemory::new()), Path::default(), StoreKind::LocalFolder, url))
        }
        Place::Folder(folder) => open_folder(&folder),
        place => open_remote(url, place),
    }
}

/// Opens a place to read inputs from. A local folder must exist.
pub fn open_source(url: &str) -> Result<Lake, StoreError> {
    match Place::parse(url)? {
        Place::Folder(folder) => open_folder(&folder),
        place => open_remote(url, place),
    }
}

/// What a URL names.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    Folder(PathBuf),
    Azure { account: Option<String>, container: String, prefix: Path },
    S3 { bucket: String, prefix: Path },
}

impl Place {
    fn parse(url: &str) -> Result<Self, StoreError> {
        let refuse = |reason: &str| StoreError::Url { url: url.into(), reason: reason.into() };
        let Some((scheme, rest)) = url.split_once("://") else {
            return match url {
                "" => Err(refuse("it is empty")),
                path => Ok(Self::Folder(path.into())),
            };
        };
        let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
        let prefix = Path::from_url_path(path).map_err(|e| refuse(&e.to_string()))?;
        match scheme.to_ascii_lowercase().as_str() {
            "file" if matches!(host, "" | "localhost") => {
                Ok(Self::Folder(FilePath::new("/").join(prefix.as_ref())))
            }
            "file" => Err(refuse("write file:///absolute/path, with three slashes")),
            "az" | "azure" | "adl" | "abfs" | "abfss" | "wasb" | "wasbs" => {
                Self::parse_azure(host, prefix).map_err(refuse)
            }
            "https" => Self::parse_azure_https(host, path, url),
            "s3" | "s3a" if !host.is_empty() => Ok(Self::S3 { bucket: host.into(), prefix }),
            "s3" | "s3a" => Err(refuse("it names no bucket")),
            _ => Err(refuse("known are a path, file://, az://, abfss://, https:// of Azure, and s3://")),
        }
    }

    fn parse_azure(host: &str, prefix: Path) -> Result<Self, &'static str> {
        let (account, container) = match host.split_once('@') {
            None => (None, host),
            Some((container, account_host)) => match azure_account(account_host) {
                Some(account) => (Some(account), container),
                None => return Err("after @ stands <account>.dfs.core.windows.net"),
            },
        };
        match container {
            "" => Err("it names no container"),
            container => Ok(Self::Azure { account, container: container.into(), prefix }),
        }
    }

    fn parse_azure_https(host: &str, path: &str, url: &str) -> Result<Self, StoreError> {
        let refuse = |reason: &str| StoreError::Url { url: url.into(), reason: reason.into() };
        let Some(account) = azure_account(host) else {
            return Err(refuse("https:// is for <account>.blob.core.windows.net or .dfs.core.windows.net"));
        };
        let (container, path) = path.split_once('/').unwrap_or((path, ""));
        if container.is_empty() {
            return Err(refuse("it names no container"));
        }
        let prefix = Path::from_url_path(path).map_err(|e| refuse(&e.to_string()))?;
        Ok(Self::Azure { account: Some(account), container: container.into(), prefix })
    }
}

/// The account in `<account>.dfs.core.windows.net`, or in the blob host and those of other Azure clouds.
fn azure_account(host: &str) -> Option<String> {
    let (account, domain) = host.split_once('.')?;
    let is_azure = ["blob.core.", "dfs.core."].iter().any(|start| domain.starts_with(start));
    (is_azure && !account.is_empty()).then(|| account.to_owned())
}

fn open_folder(folder: &FilePath) -> Result<Lake, StoreError> {
    let absolute = folder.canonicalize().map_err(|source| StoreError::folder(folder, source))?;
    let url = absolute.display().to_string();
    let store = LocalFileSystem::new_with_prefix(&absolute)
        .map_err(|source| StoreError::failed(super::Action::Open, "", &url, source))?
        // An entry says that files exist: they must survive a power cut that the entry survives.
        .with_fsync(true);
    Ok(Lake::new(Arc::new(store), Path::default(), StoreKind::LocalFolder, &url))
}

fn open_remote(url: &str, place: Place) -> Result<Lake, StoreError> {
    let opened: Result<(Arc<dyn ObjectStore>, Path), object_store::Error> = match place {
        Place::Azure { account, container, prefix } => {
            build_azure(account, &container).map(|store| (store, prefix))
        }
        Place::S3 { bucket, prefix } => build_s3(&bucket).map(|store| (store, prefix)),
        Place::Folder(folder) => return open_folder(&folder),
    };
    // The client's builders only ever fail on settings, so the reason belongs into the message.
    let (store, prefix) =
        opened.map_err(|e| StoreError::Url { url: url.into(), reason: settings_reason(&e) })?;
    Ok(Lake::new(store, prefix, StoreKind::ObjectStore, url).with_repeat_pause(REPEAT_PAUSE))
}

fn settings_reason(error: &object_store::Error) -> String {
    match error.to_string() {
        text if text.contains("Account must be specified") => {
            "set AZURE_STORAGE_ACCOUNT_NAME, or write abfss://container@account.dfs.core.windows.net/prefix"
                .into()
        }
        text => text,
    }
}

fn build_azure(
    account: Option<String>,
    container: &str,
) -> Result<Arc<dyn ObjectStore>, object_store::Error> {
    let mut builder = MicrosoftAzureBuilder::from_env()
        .with_container_name(container)
        .with_config(AzureConfigKey::Client(ClientConfigKey::Timeout), REQUEST_TIME_MAX)
        .with_config(AzureConfigKey::Client(ClientConfigKey::ConnectTimeout), CONNECT_TIME_MAX)
        .with_disable_tagging(true)
        .with_retry(retry_config());
    if let Some(account) = account {
        builder = builder.with_account(account);
    }
    let has = |key| builder.get_config_value(&key).is_some_and(|value| !value.is_empty());
    let has_workload_identity = has(AzureConfigKey::FederatedTokenFile)
        && has(AzureConfigKey::ClientId)
        && has(AzureConfigKey::AuthorityId);
    if has_workload_identity && !has(AzureConfigKey::CredentialType) {
        builder = builder.with_credential_type("workload_identity");
    }
    Ok(Arc::new(builder.build()?))
}

fn build_s3(bucket: &str) -> Result<Arc<dyn ObjectStore>, object_store::Error> {
    use object_store::aws::AmazonS3ConfigKey as Key;
    let builder = AmazonS3Builder::from_env()
        .with_bucket_name(bucket)
        .with_config(Key::Client(ClientConfigKey::Timeout), REQUEST_TIME_MAX)
        .with_config(Key::Client(ClientConfigKey::ConnectTimeout), CONNECT_TIME_MAX)
        .with_conditional_put(S3ConditionalPut::ETagMatch)
        .with_retry(retry_config());
    Ok(Arc::new(builder.build()?))
}

fn retry_config() -> RetryConfig {
    RetryConfig { retry_timeout: RETRY_TIME_MAX, ..RetryConfig::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn azure(account: Option<&str>, container: &str, prefix: &str) -> Place {
        Place::Azure { account: account.map(Into::into), container: container.into(), prefix: prefix.into() }
    }

    #[test]
    fn every_documented_form_of_url_names_its_place() {
        let cases = [
            ("./lake", Place::Folder("./lake".into())),
            ("file:///var/my%20lake", Place::Folder("/var/my lake".into())),
            ("az://audit", azure(None, "audit", "")),
            ("az://audit/prod/lake/", azure(None, "audit", "prod/lake")),
            ("abfss://audit@acc.dfs.core.windows.net/prod", azure(Some("acc"), "audit", "prod")),
            ("https://acc.blob.core.windows.net/audit/prod", azure(Some("acc"), "audit", "prod")),
            ("s3://bucket/a/b", Place::S3 { bucket: "bucket".into(), prefix: "a/b".into() }),
        ];
        for (url, want) in cases {
            assert_eq!(Place::parse(url).unwrap(), want, "{url}");
        }
    }

    #[test]
    fn a_url_that_names_no_place_says_why() {
        let cases = [
            ("", "empty"),
            ("az://", "container"),
            ("https://example.org/x", "blob.core.windows.net"),
            ("https://acc.blob.core.windows.net/", "container"),
            ("abfss://audit@acc/prod", "dfs.core.windows.net"),
            ("file://lake", "three slashes"),
            ("s3://", "bucket"),
            ("ftp://host/lake", "az://"),
        ];
        for (url, part) in cases {
            let text = Place::parse(url).unwrap_err().to_string();
            assert!(text.contains(part), "{url}: {text}");
        }
    }

    #[test]
    fn a_missing_folder_is_made_for_a_lake_and_refused_for_a_source() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("a/b");
        let url = folder.to_str().unwrap();
        let error = open_source(url).unwrap_err();
        assert!(error.to_string().contains("check the spelling"), "{error}");
        assert_eq!(open_lake_to_plan(url).unwrap().url(), url);
        assert!(!folder.exists(), "a dry run makes nothing");
        assert!(FilePath::new(open_lake(url).unwrap().url()).is_absolute());
        assert!(open_source(url).is_ok());
    }

    #[test]
    fn a_file_in_the_way_of_a_lake_is_named() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("file");
        std::fs::write(&file, "x").unwrap();
        let error = open_lake(file.join("lake").to_str().unwrap()).unwrap_err();
        assert!(error.to_string().contains("file/lake"), "{error}");
    }
}
