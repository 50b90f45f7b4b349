//! Store errors: what we tried, on what, what kind of trouble it was, and what the operator can do.
//!
//! - In: errors of the store client.
//! - Out: one error type with a problem to branch on.
//! - Invariants: a caller never looks into the text of the client's error.

use super::StoreKind;
use std::error::Error;
use std::fmt;
use std::io;

/// What was tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Connecting, or making the folder.
    Open,
    /// Creating an object.
    Create,
    /// Reading an object.
    Read,
    /// Listing a folder.
    List,
    /// Deleting staged bytes.
    Delete,
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Open => "open",
            Self::Create => "create",
            Self::Read => "read",
            Self::List => "list",
            Self::Delete => "delete",
        })
    }
}

/// What kind of trouble it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Problem {
    /// No space, or over a quota.
    Full,
    /// The identity may not do this.
    Denied,
    /// The store does not know who we are.
    Unauthenticated,
    /// The folder, container, account or object does not exist.
    Missing,
    /// The store cannot do this at all.
    Unsupported,
    /// No usable answer from the service.
    NoAnswer,
    /// The file system failed.
    FileSystem,
}

impl Problem {
    fn of(error: &object_store::Error) -> Self {
        use object_store::Error as E;
        if let Some(found) = io_error_in(error) {
            return Self::of_io(found);
        }
        match error {
            E::NotFound { .. } => Self::Missing,
            E::PermissionDenied { .. } => Self::Denied,
            E::Unauthenticated { .. } => Self::Unauthenticated,
            E::NotSupported { .. }
            | E::NotImplemented { .. }
            | E::InvalidPath { .. }
            | E::UnknownConfigurationKey { .. } => Self::Unsupported,
            E::Generic { store: "LocalFileSystem", .. } => Self::FileSystem,
            _ => Self::of_status_in(&error.to_string()),
        }
    }

    /// The client gives listings and token requests no variant of their own: the status stands in the text only.
    fn of_status_in(text: &str) -> Self {
        match text.split_once("status code: ").map(|(_, status)| status.get(..3).unwrap_or(status)) {
            Some("401") => Self::Unauthenticated,
            Some("403") => Self::Denied,
            Some("404") => Self::Missing,
            _ => Self::NoAnswer,
        }
    }

    pub(super) fn of_io(error: &io::Error) -> Self {
        use io::ErrorKind as K;
        match error.kind() {
            K::StorageFull | K::QuotaExceeded | K::FileTooLarge => Self::Full,
            K::PermissionDenied | K::ReadOnlyFilesystem => Self::Denied,
            K::NotFound => Self::Missing,
            K::Unsupported => Self::Unsupported,
            K::ConnectionRefused
            | K::ConnectionReset
            | K::ConnectionAborted
            | K::HostUnreachable
            | K::NetworkUnreachable
            | K::NotConnected
            | K::BrokenPipe
            | K::TimedOut
            | K::UnexpectedEof => Self::NoAnswer,
            _ => Self::FileSystem,
        }
    }

    /// What it means and what to do next.
    fn advice(self) -> &'static str {
        match self {
            Self::Full => "the disk or quota is full; free space and run the same command again, it resumes",
            Self::Denied => {
                "permission denied; the lake needs read, list and create (on Azure: Storage Blob Data Contributor)"
            }
            Self::Unauthenticated => {
                "the store does not accept our identity; check workload identity, managed identity or `az login`"
            }
            Self::Missing => "not there; check the spelling, and that the container or folder exists",
            Self::Unsupported => "this store cannot do it; it must support conditional creates",
            Self::NoAnswer => {
                "no usable answer; check network, account name and endpoint, then run the same command again, it resumes"
            }
            Self::FileSystem => {
                "the file system failed; check the folder and run the same command again, it resumes"
            }
        }
    }
}

/// The words of the store's client on one line. Its errors repeat each other and carry whole XML documents.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct ClientMessage(String);

impl ClientMessage {
    fn of(error: &object_store::Error) -> Self {
        let text = error.to_string();
        let (start, document) = text.split_once("<?xml").unwrap_or((&text, ""));
        let mut words: Vec<&str> = start.split_whitespace().collect();
        for tag in ["Code", "Message"] {
            if let Some((_, rest)) = document.split_once(&format!("<{tag}>"))
                && let Some((value, _)) = rest.split_once("</")
            {
                words.extend(value.split_whitespace());
            }
        }
        Self(words.join(" "))
    }
}

/// Why the store did not do what we asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The URL does not name a place.
    #[error("{url:?} names no place we can open: {reason}")]
    Url {
        /// As given.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The store failed.
    #[error("{action} {key} in {url}: {}", .problem.advice())]
    Failed {
        /// What was tried.
        action: Action,
        /// On which key; empty for the place itself.
        key: String,
        /// In which lake or source.
        url: String,
        /// The kind of trouble.
        problem: Problem,
        /// What the client said.
        source: ClientMessage,
    },
    /// The folder of a lake could not be made or found.
    #[error("{action} the folder {folder}: {}", .problem.advice())]
    Folder {
        /// What was tried.
        action: Action,
        /// Which folder.
        folder: String,
        /// The kind of trouble.
        problem: Problem,
        /// What the system said.
        source: io::Error,
    },
}

impl StoreError {
    pub(super) fn failed(action: Action, key: &str, url: &str, source: object_store::Error) -> Self {
        let (problem, source) = (Problem::of(&source), ClientMessage::of(&source));
        Self::Failed { action, key: key.into(), url: url.into(), problem, source }
    }

    pub(super) fn folder(folder: &std::path::Path, source: io::Error) -> Self {
        let problem = Problem::of_io(&source);
        Self::Folder { action: Action::Open, folder: folder.display().to_string(), problem, source }
    }

    /// The kind of trouble; None for a URL that names no place.
    pub fn problem(&self) -> Option<Problem> {
        match self {
            Self::Url { .. } => None,
            Self::Failed { problem, .. } | Self::Folder { problem, .. } => Some(*problem),
        }
    }
}

/// The store says that the name is taken: 409 and 412 both mean it, and so may our own earlier success.
pub(super) fn is_taken(error: &object_store::Error) -> bool {
    matches!(error, object_store::Error::AlreadyExists { .. } | object_store::Error::Precondition { .. })
}

/// The object may or may not exist after this error. A folder answers for sure, a service may lose the reply.
pub(super) fn is_ambiguous(kind: StoreKind, error: &object_store::Error) -> bool {
    kind == StoreKind::ObjectStore
        && matches!(error, object_store::Error::Generic { .. } | object_store::Error::JoinError { .. })
}

fn io_error_in(error: &object_store::Error) -> Option<&io::Error> {
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(current) = cause {
        if let Some(found) = current.downcast_ref::<io::Error>() {
            return Some(found);
        }
        cause = current.source();
    }
    None
}
