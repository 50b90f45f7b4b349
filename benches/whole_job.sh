#!/usr/bin/env bash
# The whole-job benchmark: Corridor against DuckDB, the same job on the same files, alternating. See benches/README.md.
# Sets up everything itself (needs Rust and Python 3 with venv); the data set and the environment stay in the cache folder.
#
#   benches/whole_job.sh [--kong N] [--hours H] [--runs N] [--records off|on|both] [--double-hours]
#                        [--cache FOLDER] [--data FOLDER] [--corridor BINARY] [--parse-only BINARY]
set -euo pipefail
repository=$(cd "$(dirname "$0")/.." && pwd)

kong=2000000 hours=24 runs=3 records=both double=no
cache="$repository/target/bench" data="" corridor="" parse_only=""
while [ $# -gt 0 ]; do
    case "$1" in
        --kong) kong=$2; shift 2 ;;
        --hours) hours=$2; shift 2 ;;
        --runs) runs=$2; shift 2 ;;
        --records) records=$2; shift 2 ;;
        --double-hours) double=yes; shift ;;
        --cache) cache=$2; shift 2 ;;
        --data) data=$2; shift 2 ;;
        --corridor) corridor=$2; shift 2 ;;
        --parse-only) parse_only=$2; shift 2 ;;
        -h | --help) sed -n '2,7s/^# \{0,1\}//p' "$0"; exit 0 ;;
        *) echo "unknown option: $1" >&2; exit 2 ;;
    esac
done

say() { printf 'bench: %s\n' "$*" >&2; }

# The same DuckDB as the tests, so that there is one version to raise.
duckdb=$(grep -o 'duckdb==[0-9.]*' "$repository/scripts/setup-tests.sh" | head -n 1)
venv="$cache/venv"
if [ "$(cat "$venv/version" 2>/dev/null)" != "$duckdb" ]; then
    say "installing $duckdb"
    rm -rf "$venv"
    mkdir -p "$cache"
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check "$duckdb"
    echo "$duckdb" >"$venv/version"
fi

if [ -z "$corridor" ]; then
    say "building"
    cargo build --quiet --release --manifest-path "$repository/Cargo.toml" -p corridor -p corridor-benches
    built="${CARGO_TARGET_DIR:-$repository/target}/release"
    corridor="$built/corridor"
    parse_only=${parse_only:-$built/parse_only}
fi

# Makes the data set unless it is complete already: truth.json is written last.
generate() {
    local folder=$1 entries=$2 span=$3
    [ -f "$folder/truth.json" ] && return
    say "generating $entries Kong entries over $span hours"
    rm -rf "$folder"
    "$corridor" generate --out "$folder" --kong "$entries" --hours "$span" >/dev/null
}

if [ -z "$data" ]; then
    data="$cache/data-$kong-${hours}h"
    generate "$data" "$kong" "$hours"
fi
# The same traffic per hour over twice the hours.
extra=()
if [ "$double" = yes ]; then
    twice="$cache/data-$((kong * 2))-$((hours * 2))h"
    generate "$twice" "$((kong * 2))" "$((hours * 2))"
    extra+=(--double-hours "$twice")
fi
[ -n "$parse_only" ] && extra+=(--parse-only "$parse_only")

"$venv/bin/python" "$repository/benches/whole_job.py" --data "$data" --corridor "$corridor" --work "$cache/work" \
    --results "$cache/results-$(date +%Y%m%dT%H%M%S).json" --runs "$runs" --records "$records" "${extra[@]}"
