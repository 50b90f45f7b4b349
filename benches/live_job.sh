#!/usr/bin/env bash
# The live benchmark: the worker from HTTP and Kafka to visible Parquet, beside Flink SQL on the same topics. See benches/README.md.
# Sets up everything itself (needs Rust, Python 3 with venv, a JDK 17 and Maven); what it fetches stays in the cache folder.
#
#   benches/live_job.sh [--cache FOLDER] [--data FOLDER] [--corridor BINARY --post-load BINARY] [options of live_job.py]
set -euo pipefail
repository=$(cd "$(dirname "$0")/.." && pwd)

cache="$repository/target/bench" data="" corridor="" post_load="" rest=()
while [ $# -gt 0 ]; do
    case "$1" in
        --cache) cache=$2; shift 2 ;;
        --data) data=$2; shift 2 ;;
        --corridor) corridor=$2; shift 2 ;;
        --post-load) post_load=$2; shift 2 ;;
        -h | --help) sed -n '2,5s/^# \{0,1\}//p' "$0"; exit 0 ;;
        *) rest+=("$1"); shift ;;
    esac
done

say() { printf 'bench: %s\n' "$*" >&2; }

duckdb=$(grep -o 'duckdb==[0-9.]*' "$repository/scripts/setup-tests.sh" | head -n 1)
venv="$cache/live-venv"
if [ "$(cat "$venv/version" 2>/dev/null)" != "$duckdb" ]; then
    say "installing $duckdb and a Kafka client"
    rm -rf "$venv"
    mkdir -p "$cache"
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check "$duckdb" confluent-kafka==2.16.1
    echo "$duckdb" >"$venv/version"
fi

jars="$cache/flink"
if [ ! -f "$jars/complete" ]; then
    say "fetching Flink"
    mvn -q -B -f "$repository/benches/flink/pom.xml" dependency:copy-dependencies -DincludeScope=runtime "-DoutputDirectory=$jars" >&2
    touch "$jars/complete"
fi
"$repository/scripts/kafka.sh" install

if [ -z "$corridor" ]; then
    say "building"
    cargo build --quiet --release --manifest-path "$repository/Cargo.toml" -p corridor -p corridor-benches
    built="${CARGO_TARGET_DIR:-$repository/target}/release"
    corridor="$built/corridor"
    post_load=${post_load:-$built/post_load}
fi

if [ -z "$data" ]; then
    data="$cache/data-2000000-24h"
    if [ ! -f "$data/truth.json" ]; then
        say "generating"
        rm -rf "$data"
        "$corridor" generate --out "$data" --kong 2000000 --hours 24 >/dev/null
    fi
fi

exec "$venv/bin/python" "$repository/benches/live_job.py" --data "$data" --corridor "$corridor" --post-load "$post_load" \
    --kafka "$repository/scripts/kafka.sh" --flink-jars "$jars" --work "$cache/live-work" \
    --results "$cache/live-results-$(date +%Y%m%dT%H%M%S).json" "${rest[@]}"
