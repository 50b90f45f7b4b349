//! Finish: makes every file of a claim exist with exactly the claimed bytes, then lets the staged bytes go.
//!
//! - In: the files of a claim; replies of the store.
//! - Out: requests.
//! - Keeps: which file is next.
//! - Invariants: bytes are copied and never encoded again, because two builds encode the same rows to other bytes. Staged bytes
//!   are deleted only after every file exists. Any number of writers may finish one claim at once.

use crate::content_digest::ContentDigest;
use crate::create_once::Created;
use crate::day_set::DaySet;
use crate::entry::ClaimedFile;
use crate::machine::{Copied, Machine, Reply, Request, Stop};
use crate::paths::LivePlace;

/// The files of one claim on their way.
#[derive(Debug, Clone)]
pub(crate) struct Finish {
    files: Vec<ClaimedFile>,
    may_be_gone: DaySet,
    index: usize,
    first: Step,
    step: Step,
}

/// What is tried with the file that is next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// Recovery looks first: mostly all is there.
    Look,
    /// Copy the staged bytes.
    Copy,
    /// The staged bytes are gone: then another writer has finished the claim.
    LookAgain,
}

impl Finish {
    /// Right after the claim: nothing can be there.
    pub(crate) fn after_claim(files: Vec<ClaimedFile>) -> Self {
        Self { files, may_be_gone: DaySet::default(), index: 0, first: Step::Copy, step: Step::Copy }
    }

    /// In recovery. Files of the days in `may_be_gone` may have been taken into a generation and deleted since: whoever
    /// sealed those days waited for the files first.
    pub(crate) fn in_recovery(files: Vec<ClaimedFile>, may_be_gone: DaySet) -> Self {
        Self { files, may_be_gone, index: 0, first: Step::Look, step: Step::Look }
    }

    /// Whether there is nothing to do.
    pub(crate) fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    fn next_file(&mut self) -> Result<Option<()>, Stop> {
        self.index += 1;
        self.step = self.first;
        Ok(None)
    }

    fn looked(&mut self, found: Option<ContentDigest>) -> Result<Option<()>, Stop> {
        let file = &self.files[self.index];
        match found {
            Some(digest) if digest == file.sha256 => self.next_file(),
            Some(_) => Err(Stop::FileDiffers { path: file.path.clone() }),
            None if self.step == Step::Look => {
                self.step = Step::Copy;
                Ok(None)
            }
            None if self.is_taken_in(file) => self.next_file(),
            None => Err(Stop::FileLost { path: file.path.clone(), staged: file.staged.clone() }),
        }
    }

    fn is_taken_in(&self, file: &ClaimedFile) -> bool {
        LivePlace::parse(&file.path).is_some_and(|place| self.may_be_gone.contains(&place.day))
    }

    fn copied(&mut self, copied: Copied) -> Result<Option<()>, Stop> {
        match copied {
            Copied::To(Created::New | Created::AlreadyThere) => self.next_file(),
            Copied::To(Created::OtherContent) => {
                Err(Stop::FileDiffers { path: self.files[self.index].path.clone() })
            }
            Copied::SourceMissing | Copied::SourceDiffers => {
                self.step = Step::LookAgain;
                Ok(None)
            }
        }
    }
}

impl Machine for Finish {
    type Output = ();

    fn request(&self) -> Request {
        let Some(file) = self.files.get(self.index) else {
            return Request::DeleteStaged {
                keys: self.files.iter().map(|file| file.staged.clone()).collect(),
            };
        };
        match self.step {
            Step::Look | Step::LookAgain => Request::Digest { key: file.path.clone() },
            Step::Copy => {
                Request::Copy { from: file.staged.clone(), to: file.path.clone(), sha256: file.sha256 }
            }
        }
    }

    fn answer(&mut self, reply: Reply) -> Result<Option<()>, Stop> {
        let is_last = self.index == self.files.len();
        match (self.step, reply) {
            (_, Reply::Deleted) if is_last => Ok(Some(())),
            (Step::Look | Step::LookAgain, Reply::Digest(found)) if !is_last => self.looked(found),
            (Step::Copy, Reply::Copied(copied)) if !is_last => self.copied(copied),
            (_, reply) => Err(Stop::misuse(&self.request(), &reply)),
        }
    }
}
