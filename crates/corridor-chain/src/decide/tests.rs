use super::*;
use crate::generation::ENTRY_FORMAT;
use corridor_model::Ledger;

fn run(digest: &str) -> RunIdentity {
    RunIdentity { run: "r2".into(), input_digest: digest.into(), build: "b1".into(), why: "test".into() }
}

fn generation(number: u16) -> Generation {
    Generation::try_from(number).unwrap()
}

fn open(number: u16, digest: &str) -> OpenEntry {
    OpenEntry {
        format: ENTRY_FORMAT,
        date: Day::parse("2026-11-24").unwrap(),
        generation: generation(number),
        run: "r1".into(),
        input_digest: digest.into(),
        build: "b1".into(),
        why: "test".into(),
        opened_at: DateTime::UNIX_EPOCH,
    }
}

fn closed(number: u16, digest: &str, outcome: Outcome) -> ClosedEntry {
    ClosedEntry {
        format: ENTRY_FORMAT,
        date: Day::parse("2026-11-24").unwrap(),
        generation: generation(number),
        outcome,
        run: "r1".into(),
        input_digest: digest.into(),
        build: "b1".into(),
        closed_at: DateTime::UNIX_EPOCH,
        files: vec![],
        ledger: Ledger::default(),
        inputs: vec![],
        run_totals: Ledger::default(),
        directory_version: None,
    }
}

/// Number, job that opened it, job that closed it and how, whether it is sealed.
type Found<'a> = (u16, Option<&'a str>, Option<(&'a str, Outcome)>, bool);

fn facts(generations: &[Found<'_>]) -> DayFacts {
    let mut facts = DayFacts::new(Day::parse("2026-11-24").unwrap());
    for (number, opener, closer, is_sealed) in generations {
        let found = GenerationFacts {
            open: opener.map(|digest| open(*number, digest)),
            closed: closer.map(|(digest, outcome)| closed(*number, digest, outcome)),
            is_sealed: *is_sealed,
        };
        facts.generations.insert(generation(*number), found);
    }
    facts
}

#[test]
fn a_day_is_landed_resumed_finished_or_left_alone() {
    use DayDecision::{AlreadyLanded, FinishSeal, Resume, TakeNumber};
    let landed = |digest| Some((digest, Outcome::Landed));
    let abandoned = |digest| Some((digest, Outcome::Abandoned));
    let cases = [
        ("a new day takes the first number", facts(&[]), TakeNumber(generation(1))),
        (
            "a killed run of the same job is resumed",
            facts(&[(1, Some("x"), None, false)]),
            Resume(generation(1)),
        ),
        (
            "an abandoned run of another job leaves its number",
            facts(&[(1, Some("y"), None, false)]),
            TakeNumber(generation(2)),
        ),
        (
            "the same job, landed and sealed, changes nothing",
            facts(&[(1, Some("x"), landed("x"), true)]),
            AlreadyLanded(generation(1)),
        ),
        (
            "the same job, closed, lacks only the seal",
            facts(&[(1, Some("x"), landed("x"), false)]),
            FinishSeal(generation(1)),
        ),
        (
            "a number closed as abandoned is passed over",
            facts(&[(1, Some("y"), abandoned("x"), false), (2, Some("x"), None, false)]),
            Resume(generation(2)),
        ),
        (
            "a number given up by this job is not resumed",
            facts(&[(1, Some("x"), None, false), (2, Some("y"), None, false)]),
            TakeNumber(generation(3)),
        ),
        (
            "the landed one counts, whatever was opened after it",
            facts(&[(1, Some("x"), landed("x"), true), (2, Some("y"), None, false)]),
            AlreadyLanded(generation(1)),
        ),
    ];
    for (name, facts, want) in cases {
        assert_eq!(decide_day(&facts, &run("x")), want, "{name}");
    }
}

#[test]
fn a_half_written_generation_of_another_build_is_not_resumed() {
    let newer = RunIdentity { build: "b2".into(), ..run("x") };
    let decision = decide_day(&facts(&[(1, Some("x"), None, false)]), &newer);
    assert_eq!(decision, DayDecision::TakeNumber(generation(2)));
}

#[test]
fn a_landed_day_of_the_same_inputs_is_known_by_any_build() {
    let newer = RunIdentity { build: "b2".into(), ..run("x") };
    let decision = decide_day(&facts(&[(1, Some("x"), Some(("x", Outcome::Landed)), true)]), &newer);
    assert_eq!(decision, DayDecision::AlreadyLanded(generation(1)));
}

#[test]
fn a_day_landed_from_other_inputs_is_refused_with_what_to_do() {
    for is_sealed in [true, false] {
        let facts = facts(&[(3, Some("y"), Some(("y", Outcome::Landed)), is_sealed)]);
        let DayDecision::Refuse(refusal) = decide_day(&facts, &run("x")) else { panic!("not refused") };
        let text = refusal.to_string();
        for part in ["2026-11-24", "generation 003", "run r1", "digest y", "another lake"] {
            assert!(text.contains(part), "{part} in {text}");
        }
    }
}

#[test]
fn a_live_lake_is_refused_even_for_a_new_day() {
    let facts = DayFacts { is_live: true, ..facts(&[]) };
    assert!(matches!(decide_day(&facts, &run("x")), DayDecision::Refuse(Refusal::LiveLake { .. })));
}

#[test]
fn a_seal_without_a_landed_entry_is_refused() {
    for closer in [None, Some(("x", Outcome::Abandoned))] {
        let facts = facts(&[(1, Some("x"), closer, true)]);
        let decision = decide_day(&facts, &run("x"));
        assert!(matches!(decision, DayDecision::Refuse(Refusal::SealWithoutLanding { .. })), "{decision:?}");
    }
}

#[test]
fn a_day_without_numbers_left_is_refused() {
    let facts = facts(&[(999, Some("y"), None, false)]);
    assert!(matches!(decide_day(&facts, &run("x")), DayDecision::Refuse(Refusal::NoNumberLeft { .. })));
}
