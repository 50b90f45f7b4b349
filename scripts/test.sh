#!/usr/bin/env bash
# Runs every check and every test, and installs what they need (scripts/setup-tests.sh). This is what CI runs.
#   scripts/test.sh          everything
#   SKIP_SETUP=1 scripts/test.sh    when the environment is known to be there
set -euo pipefail
cd "$(dirname "$0")/.."

export CARGO_TERM_COLOR="${CARGO_TERM_COLOR:-auto}"
started=$SECONDS

step() {
    local from=$SECONDS
    printf '\n== %s\n' "$1" >&2
    shift
    "$@"
    printf -- '-- %d s\n' $((SECONDS - from)) >&2
}

check_dependencies() {
    .tools/bin/cargo-deny --log-level warn check bans licenses sources
    # The list of known vulnerabilities is a git repository that not every machine can reach.
    if timeout 60 .tools/bin/cargo-deny --log-level error fetch db 2>/dev/null; then
        .tools/bin/cargo-deny --log-level warn check --disable-fetch advisories
    else
        echo "advisories were not checked: their database could not be fetched" >&2
    fi
}

# Everything is built once, in the release profile and with one set of features: the tests run the same code that ships,
# and the binaries that they start (corridor, xtask) come out of the same build.
[ -n "${SKIP_SETUP:-}" ] || step "set up" scripts/setup-tests.sh
step "format" cargo fmt --all --check
step "tests" cargo test --release --workspace --locked --no-fail-fast
step "lints" cargo clippy --release --workspace --all-targets --locked -- -D warnings
step "documentation" env RUSTDOCFLAGS="-D warnings" cargo doc --release --workspace --no-deps --locked --quiet
step "repository rules" "${CARGO_TARGET_DIR:-target}/release/xtask" tidy
step "dependencies" check_dependencies
printf '\nall checks passed in %d s\n' $((SECONDS - started))
