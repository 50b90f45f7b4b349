//! Demo: five answers read back from the lake, as often as one likes.

use crate::scene::{fresh_folder, text};
use corridor_tests::landed::files;
use corridor_tests::program::{Ended, corridor};
use corridor_tests::python::python_succeeds;

#[test]
fn demo_answers_five_questions_and_can_be_run_again() {
    let folder = fresh_folder("demo").join("demo");
    let run = || corridor(["demo", "--out", text(&folder), "--kong", "5000"]).exits(0);
    let first = run();
    let answers = |ended: &Ended| {
        let (_, answers) =
            ended.stdout.split_once("\n1. ").unwrap_or_else(|| panic!("no answers in {}", ended.stdout));
        answers.to_owned()
    };
    for number in 2..=5 {
        assert!(first.stdout.contains(&format!("\n{number}. ")), "no answer {number} in {}", first.stdout);
    }
    assert!(first.stdout.contains(text(&folder.join("lake"))), "it says where the lake is");
    let landed = files(&folder.join("lake"));
    let second = run();
    assert_eq!(answers(&second), answers(&first));
    assert_eq!(files(&folder.join("lake")).len(), landed.len());
    python_succeeds("readers/check_lake.py", [folder.join("lake"), folder.join("traffic/truth.json")]);
}
