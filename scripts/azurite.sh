#!/usr/bin/env bash
# Runs Azurite, the emulator of Azure Blob Storage, for tests and for trying the product out.
#
#   scripts/azurite.sh <port> <data folder> [container]...
#
# Installs it into .tools/azurite when it is missing, starts it on 127.0.0.1:<port>, creates the containers (default:
# lake) and prints "ready <url>" when they answer. Runs until SIGTERM or SIGINT, which stop the emulator cleanly:
# a SIGKILL to the emulator would lose writes of its last seconds.
#
# For the product:  AZURE_STORAGE_USE_EMULATOR=true AZURITE_BLOB_STORAGE_URL=http://127.0.0.1:<port>  and  az://lake/...
set -euo pipefail

version=3.35.0
ready_seconds_max=60

if [ $# -lt 2 ]; then
    sed -n '2,11s/^# \{0,1\}//p' "$0" >&2
    exit 2
fi
port=$1
data=$2
shift 2
[ $# -gt 0 ] || set -- lake

scripts=$(cd "$(dirname "$0")" && pwd)
tools=$(dirname "$scripts")/.tools/azurite
server=$tools/node_modules/azurite/dist/src/blob/main.js

if ! command -v node >/dev/null; then
    echo "azurite.sh: node is missing; install Node.js 20 or later" >&2
    exit 1
fi
mkdir -p "$tools"
# Two test runs may start at once: one installs, the other waits.
exec 9>"$tools/install.lock"
flock 9
if ! grep -qs "\"version\": \"$version\"" "$tools/node_modules/azurite/package.json"; then
    echo "azurite.sh: installing azurite $version into $tools" >&2
    npm install --prefix "$tools" --no-save --no-audit --no-fund --loglevel=error "azurite@$version" >&2
fi
exec 9>&-

mkdir -p "$data"
node "$server" --silent --blobHost 127.0.0.1 --blobPort "$port" --location "$data" \
    --skipApiVersionCheck --disableTelemetry >"$data/azurite.log" 2>&1 &
emulator=$!

stop() {
    trap - TERM INT EXIT
    kill -TERM "$emulator" 2>/dev/null || true
    wait "$emulator" 2>/dev/null || true
}
trap 'stop; exit 0' TERM INT
trap stop EXIT

for container in "$@"; do
    if ! python3 "$scripts/create_container.py" --port "$port" --wait "$ready_seconds_max" "$container"; then
        echo "azurite.sh: no container $container on port $port; the emulator said:" >&2
        cat "$data/azurite.log" >&2
        exit 1
    fi
done
# Another process on the port could have answered in place of ours.
if ! kill -0 "$emulator" 2>/dev/null; then
    echo "azurite.sh: the emulator has stopped; is port $port in use? It said:" >&2
    cat "$data/azurite.log" >&2
    exit 1
fi
echo "ready http://127.0.0.1:$port"
wait "$emulator"
