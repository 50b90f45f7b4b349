//! Memory: a store without faults and a driver without patience, for the tests of the machines. What stores do when they fail
//! is the simulation's part.

use crate::content_digest::ContentDigest;
use crate::create_once::Created;
use crate::machine::{Copied, Machine, Reply, Request, Stop};
use bytes::Bytes;
use std::collections::BTreeMap;

#[derive(Debug, Clone, Default)]
pub(crate) struct Memory {
    pub(crate) objects: BTreeMap<String, Bytes>,
    pub(crate) request_count: usize,
}

impl Memory {
    pub(crate) fn run<M: Machine>(&mut self, mut machine: M) -> Result<M::Output, Stop> {
        loop {
            let reply = self.reply(machine.request());
            if let Some(output) = machine.answer(reply)? {
                return Ok(output);
            }
        }
    }

    pub(crate) fn create(&mut self, key: &str, bytes: Bytes) -> Created {
        match self.objects.get(key) {
            Some(found) if *found == bytes => Created::AlreadyThere,
            Some(_) => Created::OtherContent,
            None => {
                self.objects.insert(key.into(), bytes);
                Created::New
            }
        }
    }

    pub(crate) fn reply(&mut self, request: Request) -> Reply {
        self.request_count += 1;
        match request {
            Request::Create { key, bytes } => Reply::Created(self.create(&key, bytes)),
            Request::Read { key } => Reply::Read(self.objects.get(&key).cloned()),
            Request::Exists { key } => Reply::Exists(self.objects.contains_key(&key)),
            Request::Digest { key } => Reply::Digest(self.objects.get(&key).map(|b| ContentDigest::of(b))),
            Request::Copy { from, to, sha256 } => Reply::Copied(match self.objects.get(&from).cloned() {
                None => Copied::SourceMissing,
                Some(bytes) if ContentDigest::of(&bytes) != sha256 => Copied::SourceDiffers,
                Some(bytes) => Copied::To(self.create(&to, bytes)),
            }),
            Request::DeleteStaged { keys } => {
                keys.iter().for_each(|key| drop(self.objects.remove(key)));
                Reply::Deleted
            }
        }
    }
}
