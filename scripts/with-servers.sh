#!/usr/bin/env bash
# with-servers.sh <command…>: runs it with a Kafka and a MongoDB of its own, named by KAFKA_BROKERS
# and MONGODB_URI, and discards them. What already names a server is left as it is; one that does not
# start is not named.
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

if [ -z "${KAFKA_BROKERS:-}" ] && url=$(run_server kafka); then export KAFKA_BROKERS=$url; fi
if [ -z "${MONGODB_URI:-}" ] && url=$(run_server mongodb); then export MONGODB_URI=$url; fi

"$@"
