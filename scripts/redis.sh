#!/usr/bin/env bash
# A local Redis, started from deploy/redis.conf. See --help.
set -euo pipefail

scripts=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
PROGRAM=redis-server
signal_to_stop=TERM
# shellcheck source=scripts/server-process.sh
. "$scripts/server-process.sh"

usage() {
    cat <<'USAGE'
usage: scripts/redis.sh <command>

  install                 install redis-server with the system's package manager, if it is missing
  start <dir> <port> [--with <pid>] [-- <option>…]
                          start a server on the loopback, with its data under <dir>, and wait until
                          it answers; does nothing when it already runs. With --with, the server is
                          killed and <dir> removed once process <pid> is gone. The options after --
                          go to redis-server
  stop <dir>              stop it, everything written
  kill <dir>              kill it as a power cut would
  pause <dir>, resume <dir>
                          stop and continue its process: a server that hangs
  discard <dir>           kill it and remove <dir>, if it was started with --with
  url <dir> <port>        print its address

The server's log is <dir>/redis.log, its process id <dir>/pid.
REDIS_FSYNC is its appendfsync policy: always (the default), everysec or no.
USAGE
}

data_folder() { say "$1/data"; }
url_of() { say "redis://127.0.0.1:$2"; }

install_server() {
    if ! have redis-server || ! have redis-cli; then install_package redis-server redis redis; fi
}

# Another program on the same port may answer too: the one that answers must be ours.
answers() {
    local info
    process_lives "$2" || return 0
    info=$(redis-cli -h 127.0.0.1 -p "$1" info server 2>/dev/null) || return 1
    grep -q "^process_id:$2[[:space:]]*$" <<<"$info"
}

how_to_start() {
    local dir=$1 port=$2 pid
    shift 2
    if ! have redis-server || ! have redis-cli; then
        fail "redis-server is not installed: run scripts/redis.sh install"
    fi
    mkdir -p "$dir/data"
    detached redis-server "$scripts/../deploy/redis.conf" --port "$port" --dir "$dir/data" \
        --appendfsync "${REDIS_FSYNC:-always}" "$@" </dev/null >>"$dir/redis.log" 2>&1 &
    pid=$!
    say "$pid" >"$dir/pid"
    if ! wait_until "$START_SECONDS_MAX" answers "$port" "$pid"; then
        kill -s KILL "$pid" 2>/dev/null || true
        fail "redis-server did not answer on port $port within $START_SECONDS_MAX seconds"
    fi
    if ! process_lives "$pid"; then
        tail -n 5 "$dir/redis.log" >&2
        fail "redis-server did not start on port $port, its log is $dir/redis.log"
    fi
}

dispatch "$@"
