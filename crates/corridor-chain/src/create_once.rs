//! Create once: the rule by which a create that may have failed becomes a certain answer.
//!
//! - In: what the store said to a put, and what a look at the key found.
//! - Out: the next thing to do, and at the end who holds the key.
//! - Invariants: only the same bytes are ever put again. "Taken" may be our own earlier success, or the blocks of a broken
//!   upload under a name that holds nothing: nothing is concluded from it before the key was read and compared.

/// How often one create is sent. The client itself repeats only what is safe, and a create is not.
pub const CREATE_ATTEMPTS_MAX: u32 = 4;

/// What a create found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Created {
    /// The key was free and holds our bytes now.
    New,
    /// The key holds our bytes already: an earlier run, or our own request whose reply was lost.
    AlreadyThere,
    /// The key holds something else, and still does.
    OtherContent,
}

/// What the store said to a put. A refusal for good (no rights, disk full) ends the create and is not shown to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PutReply {
    /// Written.
    Written,
    /// The name is taken: 409 and 412.
    Taken,
    /// It may be written or not: no reply, or an error of the service.
    Unknown,
}

/// What a look at the key found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// Nothing.
    Nothing,
    /// The bytes that were to be written.
    Same,
    /// Other bytes.
    Other,
    /// It could not be read.
    Unreadable,
}

/// What to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CreateStep {
    /// Put the bytes, only if the key is free.
    Put,
    /// Read the key and compare.
    Look,
    /// Done.
    Done(Created),
    /// The outcome stays unknown: report the error that came last. The next create of the same bytes finds out.
    GiveUp,
}

/// One create on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CreateOnce {
    attempts: u32,
    was_taken: bool,
}

impl CreateOnce {
    /// How many puts were answered.
    pub fn attempts(&self) -> u32 {
        self.attempts
    }

    /// After a put. The first step of all is a put.
    pub fn after_put(&mut self, reply: PutReply) -> CreateStep {
        self.attempts += 1;
        self.was_taken = reply == PutReply::Taken;
        match reply {
            PutReply::Written => CreateStep::Done(Created::New),
            PutReply::Taken | PutReply::Unknown => CreateStep::Look,
        }
    }

    /// After a look.
    pub fn after_look(&mut self, found: Found) -> CreateStep {
        match found {
            Found::Same => CreateStep::Done(Created::AlreadyThere),
            Found::Other => CreateStep::Done(Created::OtherContent),
            // Somebody holds the name, and only reading it tells who.
            Found::Unreadable if self.was_taken => CreateStep::GiveUp,
            Found::Nothing | Found::Unreadable if self.attempts < CREATE_ATTEMPTS_MAX => CreateStep::Put,
            Found::Nothing | Found::Unreadable => CreateStep::GiveUp,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_concluded_before_the_key_was_read() {
        for reply in [PutReply::Taken, PutReply::Unknown] {
            let mut create = CreateOnce::default();
            assert_eq!(create.after_put(reply), CreateStep::Look);
            assert_eq!(create.clone().after_look(Found::Same), CreateStep::Done(Created::AlreadyThere));
            assert_eq!(create.clone().after_look(Found::Other), CreateStep::Done(Created::OtherContent));
            assert_eq!(create.after_look(Found::Nothing), CreateStep::Put);
        }
    }

    #[test]
    fn a_name_that_stays_taken_by_nothing_is_given_up_and_reported() {
        let mut create = CreateOnce::default();
        for attempt in 1..=CREATE_ATTEMPTS_MAX {
            assert_eq!(create.after_put(PutReply::Taken), CreateStep::Look);
            let want = if attempt < CREATE_ATTEMPTS_MAX { CreateStep::Put } else { CreateStep::GiveUp };
            assert_eq!(create.after_look(Found::Nothing), want);
        }
    }

    #[test]
    fn a_taken_name_that_cannot_be_read_is_not_put_again() {
        let mut create = CreateOnce::default();
        create.after_put(PutReply::Taken);
        assert_eq!(create.after_look(Found::Unreadable), CreateStep::GiveUp);
        let mut create = CreateOnce::default();
        create.after_put(PutReply::Unknown);
        assert_eq!(create.after_look(Found::Unreadable), CreateStep::Put);
    }
}
