//! Faulty store: fails before a write, loses the reply after it, or dies for good after some operations.
//!
//! - In: a store and a plan of faults.
//! - Out: the same store with those faults.
//! - Invariants: a fault comes before the write or after it, never in between, as with a real store.

use async_trait::async_trait;
use futures::stream::BoxStream;
use futures::{FutureExt, StreamExt};
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// What happens to one put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    None,
    /// It never reaches the store.
    BeforeWrite,
    /// It is done, and the reply is lost.
    ReplyLost,
    /// It is done, and a retry inside the client meets it: "already exists".
    OwnWriteMet,
    /// The name is taken by something that cannot be read (blocks of a broken upload).
    TakenByNothing,
    /// It is refused for good.
    Denied,
}

/// Where the process stops when its operations are used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Death {
    /// The last operation is not done.
    Before,
    /// The last operation is done and nobody learns of it.
    After,
}

/// A store with a plan of faults for its puts and a life of so many operations.
#[derive(Debug)]
pub struct FaultyStore {
    inner: Arc<dyn ObjectStore>,
    put_faults: Mutex<VecDeque<Fault>>,
    operations: AtomicUsize,
    operations_max: usize,
    death: Death,
}

impl FaultyStore {
    /// Lives for ever; each put takes the next fault of the plan.
    pub fn with_faults(inner: Arc<dyn ObjectStore>, faults: &[Fault]) -> Self {
        let put_faults = Mutex::new(faults.iter().copied().collect());
        Self { put_faults, ..Self::dying(inner, usize::MAX, Death::Before) }
    }

    /// Does so many operations, and after that nothing. With [`Death::After`] one more is done, and its answer lost.
    pub fn dying(inner: Arc<dyn ObjectStore>, operations_max: usize, death: Death) -> Self {
        let put_faults = Mutex::default();
        Self { inner, put_faults, operations: AtomicUsize::new(0), operations_max, death }
    }

    /// How many operations were asked for.
    pub fn operation_count(&self) -> usize {
        self.operations.load(Ordering::SeqCst)
    }

    fn next_fault(&self) -> Fault {
        let mut faults = self.put_faults.lock().unwrap_or_else(PoisonError::into_inner);
        faults.pop_front().unwrap_or(Fault::None)
    }

    /// Counts one operation; whether it is still done, and whether its caller still lives to see the answer.
    fn step(&self) -> (bool, bool) {
        let index = self.operations.fetch_add(1, Ordering::SeqCst);
        let is_last = index == self.operations_max;
        (index < self.operations_max || (is_last && self.death == Death::After), index < self.operations_max)
    }
}

fn broken(text: &'static str) -> Error {
    Error::Generic { store: "faulty", source: text.into() }
}

/// An error that nobody repeats: stands for a killed process.
fn dead() -> Error {
    Error::PermissionDenied { path: String::new(), source: "killed".into() }
}

impl std::fmt::Display for FaultyStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "faulty {}", self.inner)
    }
}

#[async_trait]
impl ObjectStore for FaultyStore {
    async fn put_opts(&self, path: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        let (is_done, is_seen) = self.step();
        if !is_done {
            return Err(dead());
        }
        let fault = self.next_fault();
        let taken = || Error::AlreadyExists { path: path.to_string(), source: "taken".into() };
        match fault {
            Fault::BeforeWrite => return Err(broken("connection reset before the write")),
            Fault::TakenByNothing => return Err(taken()),
            Fault::Denied => return Err(dead()),
            Fault::None | Fault::ReplyLost | Fault::OwnWriteMet => {}
        }
        let result = self.inner.put_opts(path, payload, options).await;
        match fault {
            Fault::ReplyLost => result.and(Err(broken("connection reset after the write"))),
            Fault::OwnWriteMet => result.and(Err(taken())),
            _ if !is_seen => Err(dead()),
            _ => result,
        }
    }

    async fn put_multipart_opts(&self, _: &Path, _: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        Err(broken("a multipart upload overwrites, so nobody may start one"))
    }

    async fn get_opts(&self, path: &Path, options: GetOptions) -> Result<GetResult> {
        match self.step() {
            (_, true) => self.inner.get_opts(path, options).await,
            (_, false) => Err(dead()),
        }
    }

    fn delete_stream(&self, paths: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        match self.step() {
            (true, true) => self.inner.delete_stream(paths),
            (true, false) => self.inner.delete_stream(paths).map(|_| Err(dead())).boxed(),
            (false, _) => async { Err(dead()) }.into_stream().boxed(),
        }
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        match self.step() {
            (_, true) => self.inner.list(prefix),
            (_, false) => async { Err(dead()) }.into_stream().boxed(),
        }
    }

    async fn list_with_delimiter(&self, _: Option<&Path>) -> Result<ListResult> {
        Err(broken("everybody lists with `list` only"))
    }

    async fn copy_opts(&self, _: &Path, _: &Path, _: CopyOptions) -> Result<()> {
        Err(broken("nobody copies inside the store"))
    }
}
