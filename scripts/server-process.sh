# shellcheck shell=bash
# The life of a local server process. Sourced by the script of each server, which says in PROGRAM
# what the executable is called and defines data_folder, how_to_start and signal_to_stop.
#
# A server is known by its folder: <dir>/pid, <dir>/port, and the data its process works in. A
# process id alone is never believed: the process must also be PROGRAM at work in that data folder.

# shellcheck disable=SC2034  # read by the scripts that source this
START_SECONDS_MAX=60
STOP_SECONDS_MAX=30

say() { printf '%s\n' "$*"; }
fail() { printf '%s: %s\n' "$(basename "$0")" "$*" >&2; exit 1; }
have() { command -v "$1" >/dev/null 2>&1; }

# Only a superuser installs packages; sudo is for those who are not root.
as_root() {
    if [ "$(id -u)" -eq 0 ]; then "$@"
    elif have sudo; then sudo "$@"
    else fail "installing needs root or sudo: $*"
    fi
}

# install_package <apt name> <dnf name> <brew name>
install_package() {
    if have apt-get; then
        as_root apt-get update >&2 &&
            as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$1" >&2
    elif have dnf; then as_root dnf install -y "$2" >&2
    elif have brew; then brew install "$3" >&2
    else fail "no apt-get, dnf or brew here: install $PROGRAM by hand and put it on the PATH"
    fi || fail "installing $PROGRAM failed, see above"
}

# Where a server that no package manager has is kept, for all working copies if MILLRACE_SERVERS says so.
cache_folder() {
    case "${MILLRACE_SERVERS:-}" in
        "") say "$(cd "${scripts:?}/.." && pwd -P)/.run/servers" ;;
        /*) say "$MILLRACE_SERVERS" ;;
        *) say "$PWD/$MILLRACE_SERVERS" ;;
    esac
}

# install_once <path> <command…>: has the command make <path>, if it is missing: under another name,
# its last argument, and one at a time, so that nobody sees half of it.
install_once() {
    local path=$1
    shift
    [ ! -e "$path" ] || return 0
    mkdir -p "$(dirname "$path")"
    (
        # Without flock, two may do it at once, and the first to end wins.
        if have flock; then flock 9; fi
        [ ! -e "$path" ] || exit 0
        partial=$(mktemp -d "$path.XXXXXX")
        trap 'rm -rf "$partial"' EXIT
        "$@" "$partial/made"
        [ -e "$path" ] || mv "$partial/made" "$path"
    ) 9>"$path.lock"
}

# A port of the loopback that nobody listens on, from below the range of outgoing connections.
free_port() {
    local port
    until port=$((30000 + RANDOM % 2700)) && ! port_answers "$port"; do :; done
    say "$port"
}

port_answers() { (: >"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

absolute_folder() { mkdir -p "$1" && (cd "$1" && pwd -P); }

# A process that has ended and was not collected yet (a zombie) is gone. While other threads of it
# are still ending, it is a zombie that holds its sockets.
process_lives() {
    local status
    kill -0 "$1" 2>/dev/null || return 1
    status=$(cat "/proc/$1/status" 2>/dev/null) || return 0
    [[ $status != *State:[[:space:]]Z* || $status != *Threads:[[:space:]]1[[:space:]]* ]]
}

# is_server <pid> <data folder>
is_server() {
    process_lives "$1" || return 1
    if [ -d "/proc/$1" ]; then
        [ "$(readlink "/proc/$1/cwd" 2>/dev/null)" = "$2" ] &&
            grep -qsF "${PROGRAM:0:15}" "/proc/$1/comm"
    else
        ps -p "$1" -o comm= | grep -qF "$PROGRAM"
    fi
}

# running_pid <dir>: prints the server's process id, or fails.
running_pid() {
    local pid
    pid=$(cat "$1/pid" 2>/dev/null) || return 1
    [ -n "$pid" ] && is_server "$pid" "$(data_folder "$1")" && say "$pid"
}

children_of() {
    ps -A -o pid= -o ppid= 2>/dev/null | awk -v parent="$1" '$2 == parent { print $1 }' || true
}

# wait_until <seconds> <command…>
wait_until() {
    local deadline=$((SECONDS + $1))
    shift
    until "$@"; do
        [ "$SECONDS" -lt "$deadline" ] || return 1
        sleep 0.05
    done
}

all_gone() {
    local pid
    for pid in "$@"; do
        if process_lives "$pid"; then return 1; fi
    done
}

size_of() { wc -c 2>/dev/null <"$1" || say 0; }

# await_start <dir> <port> <pid> <log> <bytes>: for a server that says in its log when it serves;
# what an earlier life said is within <bytes>. So it is ours that answers on the port.
await_start() {
    local dir=$1 port=$2 pid=$3 log=$4 before=$5
    say "$pid" >"$dir/pid"
    if ! wait_until "$START_SECONDS_MAX" has_said "$log" "$before" "$pid"; then
        kill -s KILL "$pid" 2>/dev/null || true
        fail "$PROGRAM did not serve on port $port within $START_SECONDS_MAX seconds, its log is $log"
    fi
    if ! process_lives "$pid"; then
        tail -c "+$((before + 1))" "$log" | grep -iE 'error|exception' | tail -n 5 >&2 || true
        fail "$PROGRAM did not start on port $port, its log is $log"
    fi
}

has_said() {
    process_lives "$3" || return 0
    tail -c "+$(($2 + 1))" "$1" 2>/dev/null | grep -q "${says_when_ready:?}"
}

# In a session of its own, so that a Ctrl-C meant for the caller does not reach it, and holding
# none of the caller's pipes.
detached() {
    if have setsid; then exec setsid nohup "$@"; else exec nohup "$@"; fi
}

start_server() {
    local dir port owner="" pid
    dir=$(absolute_folder "$1") && port=$2 && shift 2
    if [ "${1:-}" = --with ]; then owner=$2 && shift 2; fi
    if [ "${1:-}" = -- ]; then shift; fi

    if pid=$(running_pid "$dir"); then
        [ "$(cat "$dir/port")" = "$port" ] ||
            fail "the server of $dir already runs on port $(cat "$dir/port"): stop it first"
    else
        if [ -n "$owner" ] && [ ! -e "$dir/throwaway" ]; then
            [ -z "$(ls -A "$dir")" ] || fail "--with removes $dir later, and it is not empty"
            : >"$dir/throwaway"
        fi
        say "$port" >"$dir/port"
        how_to_start "$dir" "$port" "$@"
        pid=$(running_pid "$dir") || fail "$PROGRAM ended at once, see the log in $dir"
        if [ -n "$owner" ]; then
            detached "$0" watch "$dir" "$pid" "$owner" </dev/null >/dev/null 2>&1 &
        fi
    fi
    say "$(url_of "$dir" "$port") (process $pid)"
}

stop_server() {
    local dir=$1 pid
    if ! pid=$(running_pid "$dir"); then rm -f "$dir/pid"; return 0; fi
    resume_server "$dir"
    kill -s "${signal_to_stop:?}" "$pid" 2>/dev/null || true
    wait_until "$STOP_SECONDS_MAX" all_gone "$pid" || kill_server "$dir"
    rm -f "$dir/pid"
}

# As a power cut would: no last words. Returns when the process and its children are gone.
kill_server() {
    local dir=$1 pid children
    if ! pid=$(running_pid "$dir"); then rm -f "$dir/pid"; return 0; fi
    children=$(children_of "$pid")
    # shellcheck disable=SC2086  # a list of numbers
    kill -s KILL "$pid" $children 2>/dev/null || true
    # shellcheck disable=SC2086
    wait_until "$STOP_SECONDS_MAX" all_gone "$pid" $children || fail "process $pid does not end"
    rm -f "$dir/pid"
}

# Connections stay open and nothing answers: a hung server. The parent first, so that no child
# is born meanwhile.
pause_server() {
    local pid
    pid=$(running_pid "$1") || fail "no server runs from $1"
    kill -s STOP "$pid"
    # shellcheck disable=SC2046  # a list of numbers
    kill -s STOP $(children_of "$pid") 2>/dev/null || true
}

resume_server() {
    local pid
    pid=$(running_pid "$1") || fail "no server runs from $1"
    # shellcheck disable=SC2046  # a list of numbers
    kill -s CONT $(children_of "$pid") 2>/dev/null || true
    kill -s CONT "$pid"
}

# watch <dir> <server pid> <owner pid>: when the owner is gone, so are the server and its folder.
# When the server was stopped by its owner, nothing is left to watch.
watch_server() {
    local dir=$1 pid=$2 owner=$3
    while process_lives "$owner"; do
        process_lives "$pid" || return 0
        sleep 1
    done
    discard_server "$dir"
}

# A folder that --with did not mark as its own is never removed.
discard_server() {
    kill_server "$1"
    if [ -e "$1/throwaway" ]; then rm -rf "$(dirname "$(data_folder "$1")")" "$1"; fi
}

# dispatch <sub-command> <arguments…>: what the scripts have in common.
dispatch() {
    local command=${1:---help}
    shift || true
    case "$command:$#" in
        --help:* | -h:* | help:*) usage ;;
        install:0) install_server ;;
        start:[01]) fail "start needs <dir> <port>" ;;
        start:*) start_server "$@" ;;
        stop:1 | kill:1 | pause:1 | resume:1 | discard:1)
            if [ -d "$1" ]; then "${command}_server" "$(absolute_folder "$1")"; fi
            ;;
        watch:3) watch_server "$@" ;;
        url:2) url_of "$1" "$2" ;;
        *) usage >&2; exit 64 ;;
    esac
}
