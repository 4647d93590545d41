#!/usr/bin/env bash
# A local PostgreSQL with a database `millrace`. See --help.
set -euo pipefail

scripts=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
PROGRAM=postgres
signal_to_stop=INT # "fast": sessions are ended, everything is written
# shellcheck source=scripts/server-process.sh
. "$scripts/server-process.sh"

usage() {
    cat <<'USAGE'
usage: scripts/postgres.sh <command>

  install                 install PostgreSQL with the system's package manager, if it is missing
  start <dir> <port> [--with <pid>] [-- <option>…]
                          start a server on the loopback, with its data under <dir>, create the
                          database millrace, and wait until it answers; does nothing when it already
                          runs. With --with, the server is killed and <dir> removed once process
                          <pid> is gone. The options after -- (-c name=value) go to postgres
  stop <dir>              stop it, everything written
  kill <dir>              kill it as a power cut would
  pause <dir>, resume <dir>
                          stop and continue its processes: a server that hangs
  discard <dir>           kill it and remove <dir>, if it was started with --with
  url <dir> <port>        print its address
  createdb <url> <name>   create a database on the server of <url>
  dropdb <url> <name>     drop it, ending its sessions

The server's log is <dir>/postgres.log, its process id <dir>/pid.
PostgreSQL refuses to run as root: when root runs this script, the server runs as the user
`postgres`, and where that user cannot reach <dir>, the data is kept under ${TMPDIR:-/tmp}.
USAGE
}

# The newest installed version; Debian keeps the server's programs off the PATH.
program() {
    local found
    found=$(find /usr/lib/postgresql/*/bin /usr/pgsql-*/bin /opt/homebrew/opt/postgresql*/bin \
        -name "$1" 2>/dev/null | sort -V | tail -n 1) || true
    [ -n "$found" ] || found=$(command -v "$1") || return 1
    say "$found"
}

as_server_user() {
    if [ "$(id -u)" -eq 0 ]; then (cd / && runuser -u postgres -- "$@"); else "$@"; fi
}

# Where the data and the log are: <dir>, or a stand-in that the server's user can reach.
home_of() {
    if [ ! -e "$1/home" ]; then say "$1"; else cat "$1/home"; fi
}

data_folder() { say "$(home_of "$1")/data"; }
url_of() { say "postgres://postgres@127.0.0.1:$2/millrace"; }

install_server() {
    if ! program initdb >/dev/null || ! program psql >/dev/null; then
        install_package postgresql postgresql-server postgresql
    fi
}

# The server's user owns the folder, or a stand-in for it.
prepare_home() {
    local dir=$1 home
    [ "$(id -u)" -eq 0 ] || return 0
    id postgres >/dev/null 2>&1 || fail "PostgreSQL does not run as root, and there is no user postgres"
    home=$(home_of "$dir")
    if [ "$home" = "$dir" ]; then
        chown postgres "$dir"
        as_server_user test -x "$dir" && return 0
        home=$(as_server_user mktemp -d "${TMPDIR:-/tmp}/millrace-postgres.XXXXXX") ||
            fail "the user postgres can reach neither $dir nor ${TMPDIR:-/tmp}"
        say "$home" >"$dir/home"
        ln -sfn "$home/postgres.log" "$dir/postgres.log"
    fi
    # A stand-in may have been swept away by a reboot.
    [ -d "$home" ] || { mkdir -m 700 "$home" && chown postgres "$home"; }
}

# PostgreSQL takes a killed server that its parent has not collected yet (a zombie: some containers
# collect late or never) for a living one. Its lock file goes, unless a child is still at work.
drop_lock_of_zombie() {
    local lock=$1/postmaster.pid pid folder
    pid=$(head -n 1 "$lock" 2>/dev/null) || return 0
    if ! kill -0 "$pid" 2>/dev/null || process_lives "$pid"; then return 0; fi
    for folder in /proc/[0-9]*/cwd; do
        if [ "$(readlink "$folder" 2>/dev/null)" = "$1" ]; then return 0; fi
    done
    rm -f "$lock"
}

pg_ctl_start() {
    local home=$1 port=$2
    shift 2
    as_server_user "$(program pg_ctl)" start --wait --timeout "$START_SECONDS_MAX" --silent \
        --pgdata "$home/data" --log "$home/postgres.log" \
        --options "-p $port -c listen_addresses=127.0.0.1 -c unix_socket_directories='' $*" \
        </dev/null >/dev/null 2>&1
}

how_to_start() {
    local dir=$1 port=$2 home database
    shift 2
    program initdb >/dev/null || fail "PostgreSQL is not installed: run scripts/postgres.sh install"
    prepare_home "$dir"
    home=$(home_of "$dir")
    if [ ! -e "$home/data/PG_VERSION" ]; then
        as_server_user "$(program initdb)" --pgdata "$home/data" --username postgres --auth trust \
            --encoding UTF8 --locale C >/dev/null || fail "initdb failed in $home/data"
    fi
    drop_lock_of_zombie "$home/data"
    if ! pg_ctl_start "$home" "$port" "$@"; then
        tail -n 5 "$home/postgres.log" >&2
        fail "PostgreSQL did not start on port $port, its log is $home/postgres.log"
    fi
    head -n 1 "$home/data/postmaster.pid" >"$dir/pid"
    database=$(psql_at "$(url_of "$dir" "$port")" template1 \
        "select 1 from pg_database where datname = 'millrace'")
    [ -n "$database" ] || create_database "$(url_of "$dir" "$port")" millrace
}

# psql_at <url> <database> <statement>: the url's own database may not exist yet.
psql_at() {
    local server=${1%%\?*} query=""
    case "$1" in *\?*) query="?${1#*\?}" ;; esac
    "$(program psql)" --no-psqlrc --quiet --tuples-only --no-align --set ON_ERROR_STOP=1 \
        --dbname "${server%/*}/$2$query" --command "$3"
}

create_database() { psql_at "$1" template1 "create database \"$2\" template template0"; }
drop_database() { psql_at "$1" template1 "drop database if exists \"$2\" with (force)"; }

case "${1:-}:$#" in
    createdb:3) create_database "$2" "$3" ;;
    dropdb:3) drop_database "$2" "$3" ;;
    *) dispatch "$@" ;;
esac
