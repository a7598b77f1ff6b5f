#!/usr/bin/env bash
# ./dev demo: from nothing to verified records in the hypertable, in one command.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source=scripts/packages.sh
source "$scripts/packages.sh"
# shellcheck source=scripts/database_url.sh
source "$scripts/database_url.sh"
# shellcheck source=scripts/demo_stage.sh
source "$scripts/demo_stage.sh"
# shellcheck source=scripts/demo_report.sh
source "$scripts/demo_report.sh"

# Prints how to call this.
usage() {
  cat <<'TEXT'
usage: ./dev demo [options]

Builds the release, starts a TimescaleDB and a node for this run alone, sends records and then reads every row back. The exit code
is 0 only if no record was lost or duplicated and the rate was held (99 % of it).

  --rate N         records per second (10000)
  --max            as fast as the node answers, instead of a rate; by NDJSON in batches of 1000 unless told otherwise
  --duration S     seconds to send for (30)
  --wells N        simulated wells (1000)
  --batch N        records per request, or per acknowledgement with NDJSON (100)
  --protocol P     http or ndjson (http)
  --connections N  connections to the node (4)
  --sink null      the node counts records and throws them away: no database, and nothing to verify
  --json FILE      write the result as JSON as well
  --keep           leave node and database running, and say how to reach and to stop them

If DATABASE_URL is set, a database is made for this run on that server, and dropped afterwards. The node takes further settings
from its usual variables: WELLHEAD_SERVER_SHARDS=4 ./dev demo
TEXT
}

rate=10000
duration=30
wells=1000
connections=4
maximum=false
batch=""
protocol=""
sink=postgres
json_file=""
keep=false

# Ends the script unless an option's value is a whole number above zero.
check_number() {
  if ! is_positive_integer "$2"; then fail_usage "$1 needs a whole number above zero, not \"$2\""; fi
}

# Reads the command line.
parse_options() {
  while (($#)); do
    case "$1" in
      --max) maximum=true ;;
      --keep) keep=true ;;
      -h | --help)
        usage
        exit 0
        ;;
      --rate | --duration | --wells | --connections | --batch)
        check_number "$1" "${2:-}"
        printf -v "${1#--}" '%s' "$2"
        shift
        ;;
      --protocol | --sink | --json)
        if [[ -z ${2:-} ]]; then fail_usage "$1 needs a value"; fi
        case "$1" in --protocol) protocol=$2 ;; --sink) sink=$2 ;; --json) json_file=$2 ;; esac
        shift
        ;;
      *) fail_usage "there is no option $1" ;;
    esac
    shift
  done
  if $maximum; then
    protocol=${protocol:-ndjson}
    batch=${batch:-1000}
  fi
  protocol=${protocol:-http}
  batch=${batch:-100}
  if [[ $protocol != http && $protocol != ndjson ]]; then fail_usage "--protocol is http or ndjson, not \"$protocol\""; fi
  if [[ $sink != postgres && $sink != null ]]; then fail_usage "--sink is postgres or null, not \"$sink\""; fi
}

# Sends the records and verifies them. The load generator shows its progress and its report, and takes the CPU time of all three.
drive_load() {
  local listener=$http_port
  local -a pace=(--rate "$rate") verify=() cpu_of=(--cpu-of "node=$node_pid")
  if [[ $protocol == ndjson ]]; then listener=$ndjson_port; fi
  if $maximum; then pace=(--max); fi
  # An acknowledged record may still be in the journal: verifying waits until the node says that nothing is.
  if [[ $sink == postgres ]]; then verify=(--verify --admin "http://127.0.0.1:$admin_port"); fi
  if [[ -d $run_directory/database ]]; then cpu_of+=(--cpu-of "database=$("$scripts/cluster.sh" pid "$run_directory/database")"); fi
  say "sending to $protocol://127.0.0.1:$listener"
  WELLHEAD_LOADGEN_DATABASE_URL=$database_url "$programs/wellhead-loadgen" --url "$protocol://127.0.0.1:$listener" \
    "${pace[@]}" --duration "$duration" --wells "$wells" --batch "$batch" --connections "$connections" \
    --json "$run_directory/loadgen.json" "${cpu_of[@]}" "${verify[@]}" </dev/null
}

# Runs the demo.
main() {
  local load_status=0
  parse_options "$@"
  require_packages build demo
  if [[ $sink == postgres ]]; then require_packages client; fi
  say "building"
  "$scripts/build.sh" --preset release wellhead wellhead-loadgen >&2
  trap 'tear_down $?' EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM HUP
  run_directory=$(make_run_directory demo)
  chmod 711 -- "$run_directory"
  configure_node
  if [[ $sink == postgres ]]; then start_database; fi
  start_node
  drive_load || load_status=$?
  measure
  if ! $keep; then stop_node; fi
  report "$load_status"
}

main "$@"
