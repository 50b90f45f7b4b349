//! Note: appends an entry that is no claim (a seal, a gap, an expiry) behind whatever the chain ends with by then.
//!
//! - In: where the chain was seen to end, what to say; replies of the store.
//! - Out: requests; at the end the number under which the entry stands.
//! - Invariants: claims made meanwhile are walked over, never fought: a note says what holds from its own number on. The same note
//!   is not appended again behind the place where the walk began.

use crate::content_digest::ContentDigest;
use crate::create_once::Created;
use crate::entry::{Body, CHAIN_FORMAT, ChainEntry};
use crate::machine::{Machine, Reply, Request, Stop};
use crate::paths::chain_key;
use crate::position::Position;
use crate::recover::Signature;
use bytes::Bytes;

/// A note on its way.
#[derive(Debug, Clone)]
pub struct Note {
    shard: u32,
    seq: u64,
    prev: ContentDigest,
    body: Body,
    signature: Signature,
    is_taken: bool,
}

impl Note {
    /// Begins behind a position.
    pub fn new(position: &Position, body: Body, signature: Signature) -> Self {
        let Position { shard, head_seq, head_sha256: prev, .. } = *position;
        Self { shard, seq: head_seq + 1, prev, body, signature, is_taken: false }
    }

    fn bytes(&self) -> Bytes {
        let Signature { writer, build, created_at } = self.signature.clone();
        let (shard, seq, prev, body) = (self.shard, self.seq, Some(self.prev), self.body.clone());
        let entry = ChainEntry { format: CHAIN_FORMAT, shard, seq, prev, writer, build, created_at, body };
        entry.to_bytes().into()
    }

    fn walk_over(&mut self, bytes: &Bytes) -> Result<Option<u64>, Stop> {
        let key = chain_key(self.shard, self.seq);
        let entry = match ChainEntry::parse(bytes, self.shard, self.seq) {
            Ok(entry) => entry,
            Err(source) => return Err(Stop::Entry { key, source }),
        };
        if entry.prev != Some(self.prev) {
            return Err(Stop::BrokenLink { key });
        }
        if entry.body == self.body {
            return Ok(Some(self.seq));
        }
        (self.seq, self.prev, self.is_taken) = (self.seq + 1, ContentDigest::of(bytes), false);
        Ok(None)
    }
}

impl Machine for Note {
    type Output = u64;

    fn request(&self) -> Request {
        let key = chain_key(self.shard, self.seq);
        match self.is_taken {
            true => Request::Read { key },
            false => Request::Create { key, bytes: self.bytes() },
        }
    }

    fn answer(&mut self, reply: Reply) -> Result<Option<u64>, Stop> {
        match reply {
            Reply::Created(Created::New | Created::AlreadyThere) if !self.is_taken => Ok(Some(self.seq)),
            Reply::Created(Created::OtherContent) if !self.is_taken => {
                self.is_taken = true;
                Ok(None)
            }
            Reply::Read(Some(bytes)) if self.is_taken => self.walk_over(&bytes),
            Reply::Read(None) if self.is_taken => {
                Err(Stop::Vanished { key: chain_key(self.shard, self.seq) })
            }
            reply => Err(Stop::misuse(&self.request(), &reply)),
        }
    }
}
