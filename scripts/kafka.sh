#!/usr/bin/env bash
# A local Apache Kafka of one node, started from deploy/kafka.properties. See --help.
set -euo pipefail

scripts=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
PROGRAM=java
signal_to_stop=TERM
says_when_ready='Kafka Server started'
# shellcheck source=scripts/server-process.sh
. "$scripts/server-process.sh"

JAVA_VERSION_MIN=17
version=$(sed -n 's|.*<kafka.version>\(.*\)</kafka.version>.*|\1|p' "$scripts/kafka/pom.xml")
installed=$(cache_folder)/kafka-$version
class_data=$installed/classes.jsa

usage() {
    cat <<'USAGE'
usage: scripts/kafka.sh <command>

  install                 take Kafka from Maven Central if it is missing, and Java and Maven by the
                          system's package manager
  start <dir> <port> [--with <pid>] [-- <option>…]
                          start a server on the loopback, with its data under <dir>, and wait until
                          it serves; does nothing when it already runs. With --with, the server is
                          killed and <dir> removed once process <pid> is gone. The options after --
                          (--override name=value) go to kafka.Kafka
  stop <dir>              stop it, everything written
  kill <dir>              kill it as a power cut would
  pause <dir>, resume <dir>
                          stop and continue its process: a server that hangs
  discard <dir>           kill it and remove <dir>, if it was started with --with
  url <dir> <port>        print its address, as clients want it: host and port
  topics <url> <option>…  kafka-topics: --list, --create --topic <name>, --describe, --delete
  produce <url> <topic> <text>
                          append one message and wait until it is acknowledged
  consume <url> <topic> <count>
                          print that many messages from the beginning; fails when they do not come

The server's log is <dir>/kafka.log, its process id <dir>/pid. What was taken from Maven Central is
kept in MILLRACE_SERVERS (.run/servers).
USAGE
}

data_folder() { say "$1/data"; }
url_of() { say "127.0.0.1:$2"; }

java_is_new_enough() {
    local found
    have java || return 1
    found=$(java -version 2>&1 | sed -n 's/.* version "\([0-9]*\).*/\1/p')
    [ "${found:-0}" -ge "$JAVA_VERSION_MIN" ]
}

install_server() {
    if ! java_is_new_enough; then
        install_package openjdk-17-jre-headless java-17-openjdk-headless openjdk
        java_is_new_enough || fail "Kafka needs Java $JAVA_VERSION_MIN or newer on the PATH"
    fi
    install_once "$installed" download
    install_once "$class_data" archive_classes
}

# download <folder>
download() {
    if ! have mvn; then install_package maven maven maven; fi
    say "downloading Kafka $version (44 MB) from Maven Central" >&2
    mkdir -p "$1/libs"
    mvn --batch-mode --quiet -Dstyle.color=never --file "$scripts/kafka/pom.xml" \
        org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies \
        -DincludeScope=runtime -DoutputDirectory="$1/libs" >&2 ||
        fail "downloading Kafka failed, see above"
    # What `format` writes is the same for every server but for two ids; see new_data.
    { cat "$scripts/../deploy/kafka.properties" && addresses 9092 9093 && say "log.dirs=$1/data"; } \
        >"$1/format.properties"
    java -cp "$(class_path "$1")" kafka.tools.StorageTool format \
        --cluster-id "$(new_id)" --config "$1/format.properties" >"$1/format.log" 2>&1 ||
        fail "Kafka could not format a data folder: $(cat "$1/format.log")"
}

# archive_classes <file>: a server that has started once leaves its loaded classes behind, with
# which the next ones start in two thirds of the time.
archive_classes() {
    local dir=$1.server
    say "preparing Kafka $version" >&2
    mkdir -p "$dir"
    class_data_option=-XX:ArchiveClassesAtExit=$1
    start_server "$dir" "$(free_port)" >&2
    stop_server "$dir"
    # A Java that cannot do this starts Kafka all the same.
    [ -e "$1" ] || : >"$1"
    rm -rf "$dir"
}

class_path() {
    # In the same order whatever the language: the archive of classes is for this very path.
    local LC_ALL=C jars
    jars=("$1"/libs/*.jar)
    (IFS=: && say "${jars[*]}")
}

new_id() { head -c 16 /dev/urandom | base64 | tr '+/' 'AB' | tr -d '='; }

# new_data <folder>: as `kafka-storage format` leaves it, without the second that it takes.
new_data() {
    mkdir -p "$1"
    cp "$installed/data/bootstrap.checkpoint" "$1/"
    sed -e "s|^cluster.id=.*|cluster.id=$(new_id)|" -e "s|^directory.id=.*|directory.id=$(new_id)|" \
        "$installed/data/meta.properties" >"$1/meta.properties.new"
    mv "$1/meta.properties.new" "$1/meta.properties"
}

# addresses <port> <controller's port>
addresses() {
    say "listeners=PLAINTEXT://127.0.0.1:$1,CONTROLLER://127.0.0.1:$2"
    say "advertised.listeners=PLAINTEXT://127.0.0.1:$1"
    say "controller.quorum.voters=1@127.0.0.1:$2"
}

how_to_start() {
    local dir=$1 port=$2 before line overrides=()
    shift 2
    if ! have java || [ ! -d "$installed" ]; then
        fail "Kafka $version is not installed: run scripts/kafka.sh install"
    fi
    [ -e "$dir/data/meta.properties" ] || new_data "$dir/data"
    while read -r line; do overrides+=(--override "$line"); done < <(addresses "$port" "$(free_port)")
    before=$(size_of "$dir/kafka.log")
    { cd "$dir/data" && detached java -Xms64m -Xmx384m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 \
        -XX:-UsePerfData -XX:+ExitOnOutOfMemoryError \
        "${class_data_option:--XX:SharedArchiveFile=$class_data}" \
        -Dorg.apache.logging.log4j.level=INFO -cp "$(class_path "$installed")" \
        kafka.Kafka "$scripts/../deploy/kafka.properties" --override "log.dirs=$dir/data" \
        "${overrides[@]}" "$@"; } </dev/null >>"$dir/kafka.log" 2>&1 &
    await_start "$dir" "$port" "$!" "$dir/kafka.log" "$before"
}

# tool <class> <argument…>
tool() {
    [ -d "$installed" ] || fail "Kafka $version is not installed: run scripts/kafka.sh install"
    java -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -XX:-UsePerfData "-XX:SharedArchiveFile=$class_data" \
        -cp "$(class_path "$installed")" "$@"
}

produce() {
    say "$3" | tool org.apache.kafka.tools.ConsoleProducer --bootstrap-server "$1" --topic "$2" --sync \
        --command-property acks=all
}

consume() {
    tool org.apache.kafka.tools.consumer.ConsoleConsumer --bootstrap-server "$1" --topic "$2" --from-beginning \
        --max-messages "$3" --timeout-ms 5000 2>/dev/null | {
        local line count=0
        while read -r line; do say "$line" && count=$((count + 1)); done
        [ "$count" -eq "$3" ]
    }
}

case "${1:-}:$#" in
    topics:[01]) usage >&2; exit 64 ;;
    topics:*) shift && tool org.apache.kafka.tools.TopicCommand --bootstrap-server "$@" ;;
    produce:4) shift && produce "$@" ;;
    consume:4) shift && consume "$@" ;;
    *) dispatch "$@" ;;
esac
