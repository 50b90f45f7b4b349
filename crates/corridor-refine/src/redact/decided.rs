//! Decided: the names that a thread has met, with what was decided for each.
//!
//! - In: the rest of a text that begins with a member's name, or the name; objects that were told as they stand.
//! - Out: the [`Decision`] for a name; how long an object is that was told before.
//! - Keeps: at most [`NAMES_MAX`] names of each parent rule and side; after each name those that followed it; at most
//!   [`OBJECTS_MAX`] objects.
//! - Invariants: what is remembered is what [`Decision::of`] says, and whole objects, byte by byte.

use super::rule::{Decision, Rule};
use corridor_model::Side;
use foldhash::HashMap;
use std::cell::RefCell;

/// Records use a few hundred.
const NAMES_MAX: usize = 4_096;

/// Longest name remembered.
const NAME_BYTES_MAX: usize = 96;

/// Of parent rules and sides.
const GROUP_COUNT: usize = (Rule::Scheme as usize + 1) * 2;

/// The same few names come with every record, mostly in the same order, and a decision compares a name with some
/// hundred words.
pub(super) struct Decided {
    known: Vec<Known>,
    places: [HashMap<Box<str>, usize>; GROUP_COUNT],
    /// The name met last.
    last: usize,
    /// Gateways write the same route and service with each request.
    objects: HashMap<Head, Box<[u8]>>,
}

/// The name an object stands under, its depth, and how it begins.
type Head = (usize, u32, [u8; HEAD_BYTES]);

/// Enough for an id.
const HEAD_BYTES: usize = 48;

/// Of a thread. Then it forgets them all.
const OBJECTS_MAX: usize = 1_024;

/// Shorter objects are read as soon as found; longer ones take much memory.
const OBJECT_BYTES: std::ops::RangeInclusive<usize> = 64..=4_096;

/// An object that comes again is worth so many that do not.
const AGAIN_WORTH: i32 = 4;

/// Under a name worth less, objects are not remembered any more.
const WORTH_MIN: i32 = -64;
const WORTH_MAX: i32 = 256;

struct Known {
    /// Parent and side.
    group: usize,
    decision: Decision,
    /// None when JSON does not write the name as it is.
    opening: Option<Opening>,
    /// The names that followed, the last one first.
    next: [usize; 2],
    /// How often the object under this name was one told before.
    worth: i32,
}

thread_local! {
    static DECIDED: RefCell<Decided> = RefCell::new(Decided {
        known: Vec::new(),
        places: std::array::from_fn(|_| HashMap::default()),
        last: 0,
        objects: HashMap::default(),
    });
}

impl Decided {
    /// Gives the thread's names to `work`.
    pub(super) fn with<R>(work: impl FnOnce(&mut Self) -> R) -> R {
        DECIDED.with_borrow_mut(work)
    }

    /// If `rest` begins with a name, and its colon, that followed the last one before: its decision, and the length.
    pub(super) fn foresee(&mut self, parent: Rule, side: Side, rest: &[u8]) -> Option<(Decision, usize)> {
        let group = group(parent, side);
        let guesses = self.known.get(self.last)?.next;
        guesses.into_iter().find_map(|guess| {
            let known = &self.known[guess];
            let opening = known.opening.as_ref().filter(|_| known.group == group)?;
            opening.begins(rest).then(|| {
                self.last = guess;
                (known.decision, opening.text.len())
            })
        })
    }

    /// What is decided for the member `name`.
    pub(super) fn decide(&mut self, parent: Rule, side: Side, name: &str) -> Decision {
        if name.len() > NAME_BYTES_MAX || matches!(parent, Rule::Query | Rule::Withhold | Rule::Sql) {
            return Decision::of(parent, side, name);
        }
        let group = group(parent, side);
        let place = match self.places[group].get(name) {
            Some(place) => *place,
            None if self.places[group].len() >= NAMES_MAX => return Decision::of(parent, side, name),
            None => self.remember(group, name, Decision::of(parent, side, name)),
        };
        if let Some(last) = self.known.get_mut(self.last)
            && last.next[0] != place
        {
            last.next = [place, last.next[0]];
        }
        self.last = place;
        self.known[place].decision
    }

    /// The length of the object that `rest` begins with, if the same one was told under the name at `place`.
    pub(super) fn told_length(&mut self, place: usize, depth: u32, rest: &[u8]) -> Option<usize> {
        let known = &mut self.known[place];
        if known.worth < WORTH_MIN {
            return None;
        }
        let object = self.objects.get(&(place, depth, *rest.first_chunk()?));
        let length = object.filter(|object| rest.starts_with(object)).map(|object| object.len());
        let worth = if length.is_some() { AGAIN_WORTH } else { -1 };
        known.worth = (known.worth + worth).min(WORTH_MAX);
        length
    }

    /// Remembers an object that was told as it stands.
    pub(super) fn remember_told(&mut self, place: usize, depth: u32, object: &[u8]) {
        if self.known[place].worth < WORTH_MIN || !OBJECT_BYTES.contains(&object.len()) {
            return;
        }
        if self.objects.len() >= OBJECTS_MAX {
            self.objects.clear();
        }
        if let Some(head) = object.first_chunk() {
            self.objects.insert((place, depth, *head), object.into());
        }
    }

    fn remember(&mut self, group: usize, name: &str, decision: Decision) -> usize {
        let place = self.known.len();
        let is_written_so = !name.bytes().any(|byte| matches!(byte, 0..0x20 | b'"' | b'\\'));
        let decision = Decision { place: Some(place), ..decision };
        let opening = is_written_so.then(|| Opening::of(name));
        self.known.push(Known { group, decision, opening, next: [0, 0], worth: 0 });
        self.places[group].insert(name.into(), place);
        place
    }
}

/// A name with its quotes and colon. Words are compared quicker than a call of `memcmp` takes, and most names are short.
struct Opening {
    text: Box<[u8]>,
    /// The first bytes, and which of them count.
    words: [u64; WORD_COUNT],
    masks: [u64; WORD_COUNT],
}

const WORD_COUNT: usize = 4;
const WORD_BYTES: usize = 8;

impl Opening {
    fn of(name: &str) -> Self {
        let text = format!("\"{name}\":").into_bytes();
        let (mut words, mut masks) = ([0; WORD_COUNT], [0; WORD_COUNT]);
        for (index, byte) in text.iter().enumerate().take(WORD_COUNT * WORD_BYTES) {
            let shift = 8 * (index % WORD_BYTES);
            words[index / WORD_BYTES] |= u64::from(*byte) << shift;
            masks[index / WORD_BYTES] |= 0xff << shift;
        }
        Self { text: text.into(), words, masks }
    }

    /// Whether `rest` begins with it.
    fn begins(&self, rest: &[u8]) -> bool {
        let Some(head) = rest.first_chunk::<{ WORD_COUNT * WORD_BYTES }>() else {
            return rest.starts_with(&self.text);
        };
        let (chunks, _) = head.as_chunks::<WORD_BYTES>();
        let differing = chunks
            .iter()
            .zip(&self.words)
            .zip(&self.masks)
            .fold(0, |bits, ((chunk, word), mask)| bits | (u64::from_le_bytes(*chunk) ^ word) & mask);
        differing == 0 && (self.text.len() <= head.len() || rest.starts_with(&self.text))
    }
}

fn group(parent: Rule, side: Side) -> usize {
    parent as usize * 2 + usize::from(side == Side::Kong)
}
