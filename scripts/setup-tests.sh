#!/usr/bin/env bash
# Installs everything the tests need on a Debian machine that has Rust: system packages where one is missing,
# a Python environment in .venv, and Azurite, Apache Kafka and Microsoft's T-SQL parsers in .tools. Quick when all is there:
# each part leaves a stamp that names its versions, and is only repeated when they change.
set -euo pipefail
cd "$(dirname "$0")/.."

PYTHON_PACKAGES="duckdb==2.0.1 pyarrow==26.0.1 sqlglot==30.30.0 sqlfluff==4.5.0"
AZURITE_VERSION=3.35.0
PARSERS_WHEEL="mssql-cli==1.0.0"
CARGO_DENY_VERSION=0.20.2

tools="$PWD/.tools"
mkdir -p "$tools/stamps"

say() { printf 'setup: %s\n' "$*" >&2; }

# True when the part was already set up with exactly these versions.
is_done() { [ "$(cat "$tools/stamps/$1" 2>/dev/null)" = "$2" ]; }
mark_done() { printf '%s\n' "$2" >"$tools/stamps/$1"; }

as_root() {
    if [ "$(id -u)" -eq 0 ]; then "$@"
    elif command -v sudo >/dev/null; then sudo "$@"
    else say "cannot install packages: neither root nor sudo"; exit 1
    fi
}

install_system_packages() {
    local missing=()
    command -v node >/dev/null || missing+=(nodejs)
    command -v npm >/dev/null || missing+=(npm)
    command -v python3 >/dev/null || missing+=(python3)
    python3 -c 'import ensurepip, venv' 2>/dev/null || missing+=(python3-venv)
    command -v mcs >/dev/null && command -v mono >/dev/null || missing+=(mono-devel)
    command -v curl >/dev/null || missing+=(curl ca-certificates)
    command -v unzip >/dev/null || missing+=(unzip)
    command -v openssl >/dev/null || missing+=(openssl)
    command -v cc >/dev/null || missing+=(gcc libc6-dev)
    # librdkafka is built from source, against the system's OpenSSL.
    command -v c++ >/dev/null || missing+=(g++)
    command -v make >/dev/null || missing+=(make)
    command -v pkg-config >/dev/null || missing+=(pkg-config)
    pkg-config --exists openssl 2>/dev/null || missing+=(libssl-dev)
    command -v java >/dev/null || missing+=(default-jre-headless)
    command -v mvn >/dev/null || missing+=(maven)
    [ "${#missing[@]}" -eq 0 ] && return
    command -v apt-get >/dev/null || { say "please install: ${missing[*]}"; exit 1; }
    say "installing ${missing[*]}"
    { as_root apt-get update &&
        as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "${missing[@]}"; } \
        >"$tools/apt.log" 2>&1 || { tail -n 20 "$tools/apt.log" >&2; exit 1; }
}

install_python() {
    is_done python "$PYTHON_PACKAGES" && [ -x .venv/bin/python ] && return
    say "creating .venv"
    rm -rf .venv
    python3 -m venv .venv
    # shellcheck disable=SC2086  # a list of packages
    .venv/bin/pip install --quiet --disable-pip-version-check $PYTHON_PACKAGES
    mark_done python "$PYTHON_PACKAGES"
}

# The wheel carries Microsoft's own parsers as .NET assemblies, which Mono runs. They are used here, never committed.
install_tsql_parsers() {
    local sources
    sources="$PARSERS_WHEEL $(cat tests/tsql/sp.cs tests/tsql/sd.cs | cksum)"
    is_done tsql "$sources" && [ -f "$tools/tsql/sp.exe" ] && [ -f "$tools/tsql/sd.exe" ] && return
    say "fetching the T-SQL parsers"
    rm -rf "$tools/tsql" "$tools/wheel"
    mkdir -p "$tools/tsql" "$tools/wheel"
    .venv/bin/pip download --quiet --disable-pip-version-check --no-deps --only-binary=:all: --dest "$tools/wheel" "$PARSERS_WHEEL"
    unzip -q -o -j "$tools"/wheel/mssql_cli-*.whl \
        'mssqlcli/mssqltoolsservice/bin/Microsoft.SqlServer.SqlParser.dll' \
        'mssqlcli/mssqltoolsservice/bin/Microsoft.SqlServer.TransactSql.ScriptDom.dll' -d "$tools/tsql"
    rm -rf "$tools/wheel"
    local facade=-r:/usr/lib/mono/4.5/Facades/netstandard.dll
    mcs "-r:$tools/tsql/Microsoft.SqlServer.SqlParser.dll" "$facade" "-out:$tools/tsql/sp.exe" tests/tsql/sp.cs
    mcs "-r:$tools/tsql/Microsoft.SqlServer.TransactSql.ScriptDom.dll" "$facade" "-out:$tools/tsql/sd.exe" tests/tsql/sd.cs
    mark_done tsql "$sources"
}

install_azurite() {
    is_done azurite "$AZURITE_VERSION" && [ -d "$tools/azurite/node_modules/azurite" ] && return
    say "installing azurite $AZURITE_VERSION"
    mkdir -p "$tools/azurite"
    npm install --prefix "$tools/azurite" --no-audit --no-fund --loglevel=error "azurite@$AZURITE_VERSION" >&2
    mark_done azurite "$AZURITE_VERSION"
}

install_cargo_deny() {
    is_done cargo-deny "$CARGO_DENY_VERSION" && [ -x "$tools/bin/cargo-deny" ] && return
    if [ "$(cargo-deny --version 2>/dev/null)" = "cargo-deny $CARGO_DENY_VERSION" ]; then
        mkdir -p "$tools/bin"
        ln -sf "$(command -v cargo-deny)" "$tools/bin/cargo-deny"
    else
        say "building cargo-deny $CARGO_DENY_VERSION (once)"
        # A debug build is enough for a tool that runs for seconds, and takes a fraction of the time.
        cargo install --quiet --locked --debug --root "$tools" "cargo-deny@$CARGO_DENY_VERSION"
    fi
    mark_done cargo-deny "$CARGO_DENY_VERSION"
}

install_system_packages
install_python
install_tsql_parsers
install_azurite
scripts/kafka.sh install
install_cargo_deny
