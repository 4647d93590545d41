#!/usr/bin/env bash
# Sends real purchases through the running stack and checks every result against awk. See --help.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

usage() {
    cat <<'USAGE'
usage: scripts/demo.sh

Replays tests/data/cdnow_sample.txt, 6,919 purchases of 2,357 customers of a web shop, through the
stack that `make run-all` started, waits until every message is settled, shows the results, and
compares each customer and each day with what awk alone makes of the file. Ends with 1 if anything
differs. Running it again changes nothing: the events have the same ids.

MILLRACE names the millrace binary; the default is target/release/millrace.
USAGE
}

sample=tests/data/cdnow_sample.txt
millrace=${MILLRACE:-target/release/millrace}
ingestion=http://127.0.0.1:8080
brand=cdnow
failures=0

# The defaults of `make run-all`.
if [ -z "${REDIS_URL:-}${REDIS_HOST:-}" ]; then export REDIS_URL=redis://127.0.0.1:6390; fi
export DATABASE_URL=${DATABASE_URL:-sqlite://.run/millrace.db?mode=rwc}

main() {
    check_stack_is_ready
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT

    step "Sending $(grep -c . "$sample") purchases to $ingestion"
    events_from_sample >"$work/events.ndjson"
    "$millrace" send --url "$ingestion" "$work/events.ndjson"
    step 'Waiting until every message is settled'
    "$millrace" streams --wait-drained 120s
    step 'Ten customers'
    "$millrace" profiles --brand $brand --limit 10
    step 'Ten days'
    "$millrace" analytics --brand $brand --event-type purchase --grain day --limit 10
    step 'Comparing with awk'
    collect
    compare

    if [ "$failures" -gt 0 ]; then
        printf '\nFAILED: %s of the checks\n' "$failures"
        exit 1
    fi
    printf '\nOK: every customer and every day is right\n'
}

step() { printf '\n== %s\n' "$*"; }

check_stack_is_ready() {
    local worker
    if [ ! -x "$millrace" ]; then
        echo "demo: $millrace is missing: run \`make run-all\` in another terminal first" >&2
        exit 1
    fi
    for worker in ingestion:9101 event-processors:9102 admin:9103; do
        if ! is_ready "${worker#*:}"; then
            echo "demo: ${worker%:*} is not ready (http://127.0.0.1:${worker#*:}/ready):" \
                "run \`make run-all\` in another terminal, and try again when it is up" >&2
            exit 1
        fi
    done
}

# is_ready <port>: plain bash, so that the demo needs no curl.
is_ready() {
    local status=''
    (
        exec 3<>"/dev/tcp/127.0.0.1/$1"
        printf 'GET /ready HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n' >&3
        read -r -t 5 status <&3
        [[ $status == HTTP/*\ 200* ]]
    ) 2>/dev/null
}

events_from_sample() {
    awk -v brand=$brand '
        { sub(/\r$/, "") }
        NF == 5 {
            day = substr($3, 1, 4) "-" substr($3, 5, 2) "-" substr($3, 7, 2)
            # Without an event_id: `millrace send` gives each line the same one every time.
            printf "{\"brand_id\":\"%s\",\"event_type\":\"purchase\"," \
                "\"timestamp\":\"%sT00:00:00Z\",\"payload\":{\"order_id\":\"%s-%d\"," \
                "\"user_id\":\"%s\",\"quantity\":%d,\"total\":\"%s\",\"currency\":\"USD\"}}\n",
                brand, day, brand, NR, $1, $4, $5
        }' "$sample"
}

# Both sides as sorted lines: `customer,orders,purchase days,cents` and `day,purchases,cents`.
# Amounts have two decimals: without the point they are cents, and no fraction is ever summed.
collect() {
    awk '{ sub(/\r$/, ""); cents = $5; sub(/\./, "", cents); orders[$1]++; total[$1] += cents }
        !seen[$1, $3]++ { days[$1]++ }
        END { for (c in orders) printf "%s,%d,%d,%.0f\n", c, orders[c], days[c], total[c] }' \
        "$sample" | sort >"$work/customers.awk"
    awk '{ sub(/\r$/, ""); cents = $5; sub(/\./, "", cents); count[$3]++; total[$3] += cents }
        END { for (d in count) printf "%s-%s-%s,%d,%.0f\n",
            substr(d, 1, 4), substr(d, 5, 2), substr(d, 7, 2), count[d], total[d] }' \
        "$sample" | sort >"$work/days.awk"

    "$millrace" profiles --brand $brand --csv >"$work/profiles.csv"
    rows 'profile_id,user_id,orders,purchase_days,revenue_minor,currency' "$work/profiles.csv" |
        cut -d , -f 2-5 | sort >"$work/customers.millrace"
    "$millrace" analytics --brand $brand --event-type purchase --grain day --csv >"$work/days.csv"
    rows 'bucket_start,event_type,currency,events,amount_minor' "$work/days.csv" |
        awk -F , -v OFS=, '{ print substr($1, 1, 10), $4, $5 }' | sort >"$work/days.millrace"
}

# rows <header> <file>: the lines below the header, which must be this one.
rows() {
    awk -v header="$1" '
        { sub(/\r$/, "") }
        NR > 1 { print; next }
        $0 != header { print "demo: unexpected columns: " $0 >"/dev/stderr"; exit 1 }' "$2"
}

compare() {
    local from
    check_equal 'purchases' "$(sum 2 customers.awk)" "$(sum 2 customers.millrace)"
    check_equal 'profiles' "$(sum rows customers.awk)" "$(sum rows customers.millrace)"
    for from in customers days; do
        check_equal "revenue in cents, summed over $from" \
            "$(sum last customers.awk)" "$(sum last $from.millrace)"
    done
    check_same 'each customer: orders, distinct purchase days, revenue' customers
    check_same 'each day: purchases, revenue' days
}

# sum <column | last | rows> <file>
sum() {
    awk -F , -v what="$1" '
        { total += what == "rows" ? 1 : what == "last" ? $NF : $(what + 0) }
        END { printf "%.0f\n", total }' "$work/$2"
}

check_equal() {
    if [ "$2" = "$3" ]; then
        printf 'OK      %s: %s\n' "$1" "$2"
    else
        printf 'FAILED  %s: %s in the file, %s in Millrace\n' "$1" "$2" "$3"
        failures=$((failures + 1))
    fi
}

check_same() {
    if diff "$work/$2.awk" "$work/$2.millrace" >"$work/difference"; then
        printf 'OK      %s: %d compared\n' "$1" "$(sum rows "$2.awk")"
    else
        printf 'FAILED  %s: the first differences (< file, > Millrace):\n' "$1"
        awk '/^[<>]/ && shown++ < 10' "$work/difference"
        failures=$((failures + 1))
    fi
}

case "${1:-}" in
    '') main ;;
    --help | -h) usage ;;
    *) usage >&2; exit 64 ;;
esac
