//! The command itself. An integration test also makes `cargo test --workspace` build the binary, with the same features
//! as everything else, so that `scripts/test.sh` can run it without a second build.

use std::process::Command;

#[test]
fn unknown_chore_is_refused_with_the_usage() {
    let output =
        Command::new(env!("CARGO_BIN_EXE_xtask")).arg("nonsense").output().expect("the binary was built");
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("usage: cargo xtask"));
}

#[test]
fn generated_files_are_fresh() {
    let output = Command::new(env!("CARGO_BIN_EXE_xtask"))
        .args(["schemas", "--check"])
        .output()
        .expect("the binary was built");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
