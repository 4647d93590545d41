#!/usr/bin/env bash
# A local MongoDB: the machine's own mongod, or FerretDB. See --help.
set -euo pipefail

scripts=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
PROGRAM=mongod
signal_to_stop=TERM
says_when_ready='Waiting for connections'
# shellcheck source=scripts/server-process.sh
. "$scripts/server-process.sh"

# What is built depends on its sources alone.
built=$(cache_folder)/ferretdb-$(cat "$scripts"/mongodb/go.* "$scripts"/mongodb/*.go | cksum | tr ' ' -)
ferretdb=$built/millrace-mongod
GO_MINOR_MIN=22

usage() {
    cat <<'USAGE'
usage: scripts/mongodb.sh <command>

  install                 nothing, where there is a mongod on the PATH; else build FerretDB on
                          SQLite, a stand-in, from the Go module proxy: see scripts/mongodb
  start <dir> <port> [--with <pid>] [-- <option>…]
                          start a server on the loopback, with its data under <dir>, and wait until
                          it serves; does nothing when it already runs. With --with, the server is
                          killed and <dir> removed once process <pid> is gone. The options after --
                          go to mongod; FerretDB takes none
  stop <dir>              stop it, everything written
  kill <dir>              kill it as a power cut would
  pause <dir>, resume <dir>
                          stop and continue its process: a server that hangs
  discard <dir>           kill it and remove <dir>, if it was started with --with
  url <dir> <port>        print its address
  which                   print which server `start` uses

The server's log is <dir>/mongodb.log, its process id <dir>/pid. What was built is kept in
MILLRACE_SERVERS (.run/servers).
USAGE
}

data_folder() { say "$1/data"; }
url_of() { say "mongodb://127.0.0.1:$2"; }

which_server() {
    if have mongod; then say "mongod: $(command -v mongod)"
    elif [ -x "$ferretdb" ]; then say "FerretDB on SQLite, in place of mongod: $ferretdb"
    else fail "neither mongod nor FerretDB is installed: run scripts/mongodb.sh install"
    fi
}

install_server() {
    have mongod || install_once "$built" build_ferretdb
    which_server >&2
}

go_is_new_enough() {
    local version
    have go || return 1
    version=$(go env GOVERSION 2>/dev/null) || return 1
    [[ $version =~ ^go1\.([0-9]+) ]] && [ "${BASH_REMATCH[1]}" -ge "$GO_MINOR_MIN" ]
}

# build_ferretdb <folder>
build_ferretdb() {
    if ! have go; then install_package golang golang go; fi
    go_is_new_enough || fail "there is no mongod, and FerretDB needs Go 1.$GO_MINOR_MIN or newer to build"
    say "downloading and building FerretDB, because there is no mongod: some minutes" >&2
    (cd "$scripts/mongodb" && CGO_ENABLED=0 GOWORK=off GOFLAGS='' go build -mod=readonly \
        -buildvcs=false -trimpath -o "$1/millrace-mongod" .) >&2 ||
        fail "building FerretDB failed, see above"
}

how_to_start() {
    local dir=$1 port=$2 log=$1/mongodb.log before
    shift 2
    which_server >/dev/null
    mkdir -p "$dir/data"
    before=$(size_of "$log")
    { cd "$dir/data" && if have mongod; then
        detached mongod --bind_ip 127.0.0.1 --port "$port" --dbpath "$dir/data" \
            --nounixsocket --wiredTigerCacheSizeGB 0.25 "$@"
    else
        detached "$ferretdb" "127.0.0.1:$port"
    fi; } </dev/null >>"$log" 2>&1 &
    await_start "$dir" "$port" "$!" "$log" "$before"
}

case "${1:-}:$#" in
    which:1) which_server ;;
    *) dispatch "$@" ;;
esac
