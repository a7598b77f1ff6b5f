#!/usr/bin/env bash
# ./dev flamegraph: where the node, the load generator or the database spend their time under load.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source=scripts/packages.sh
source "$scripts/packages.sh"

# Prints how to call this.
usage() {
  cat <<'TEXT'
usage: ./dev flamegraph [--target node|loadgen|database] [--offcpu] [--seconds N] [--output FILE.svg] [options]

Builds the release, starts a TimescaleDB, a node and the load generator for this run alone, sends as fast as the node answers, and
looks where the target's threads are. Writes a flame graph and, beside it and to standard output, a table of the functions that took
most by themselves. perf/README.md tells how to read them.

  --target T      node, loadgen or database (node)
  --offcpu        what threads wait for instead of what they do
  --seconds N     how long to look (10)
  --output FILE   the SVG (flamegraph.svg); the table goes beside it as .txt
  --protocol P    how records are sent: ndjson or http (ndjson)
  --batch N       records per batch (1000)
  --sink null     the node counts records and throws them away: no database

The exit code is 69 where the kernel does not let anyone look; the reason is told with what to allow.
TEXT
}

# Ends the script unless the options make sense; perf/flamegraph.py reads them again.
check_options() {
  local option value
  while (($#)); do
    option=$1
    shift
    case "$option" in
      -h | --help)
        usage
        exit 0
        ;;
      --offcpu) continue ;;
      --target | --seconds | --output | --protocol | --batch | --sink) ;;
      *) fail_usage "there is no option $option" ;;
    esac
    value=$(option_value "$option" "${1:-}")
    shift
    case "$option=$value" in
      --target=node | --target=loadgen | --target=database | --protocol=ndjson | --protocol=http | --sink=null | --sink=postgres) ;;
      --output=*.txt) fail_usage "--output is the SVG's, and $value would be the table's name" ;;
      --output=*) if [[ ! -d $(dirname -- "$value") ]]; then fail_usage "there is no folder for $value"; fi ;;
      --seconds=* | --batch=*)
        if ! is_positive_integer "$value"; then fail_usage "$option needs a whole number above zero, not \"$value\""; fi
        ;;
      *) fail_usage "$option knows no \"$value\"" ;;
    esac
  done
}

# Checks the command line, builds what is looked at, and looks.
main() {
  check_options "$@"
  require_packages build client test profile
  say "building"
  "$scripts/build.sh" --preset release wellhead wellhead-loadgen >&2
  export WELLHEAD_BIN_DIR=$repository/build/release/bin PYTHONDONTWRITEBYTECODE=1
  exec python3 "$repository/perf/flamegraph.py" "$@"
}

main "$@"
