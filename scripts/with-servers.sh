#!/usr/bin/env bash
# with-servers.sh <command…>: runs it with a Kafka and a MongoDB of its own, named by
# TEST_KAFKA_BROKERS and TEST_MONGODB_URI, and discards them. Where KAFKA_BROKERS or MONGODB_URI name
# one, it is that one; the command does not see these, for they are settings of workers, too. A server
# that does not start is not named.
set -euo pipefail

scripts=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
# shellcheck source=scripts/server-process.sh
. "$scripts/server-process.sh"

mkdir -p "$scripts/../.run"
folder=$(mktemp -d "$scripts/../.run/with-servers.XXXXXX")

discard_all() {
    local name
    for name in kafka mongodb; do "$scripts/$name.sh" discard "$folder/$name" || true; done
    rmdir "$folder"
}
trap discard_all EXIT

# run_server <name>: prints its address.
run_server() {
    local port
    port=$(free_port)
    "$scripts/$1.sh" start "$folder/$1" "$port" --with $$ >&2 && "$scripts/$1.sh" url "$folder/$1" "$port"
}

if url=${KAFKA_BROKERS:-$(run_server kafka)}; then export TEST_KAFKA_BROKERS=$url; fi
if url=${MONGODB_URI:-$(run_server mongodb)}; then export TEST_MONGODB_URI=$url; fi
unset KAFKA_BROKERS MONGODB_URI

"$@"
