#!/usr/bin/env bash
# ./dev bench: the end-to-end benchmarks, each against a reference that is measured in the same run.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source=scripts/packages.sh
source "$scripts/packages.sh"

# Prints how to call this.
usage() {
  cat <<'TEXT'
usage: ./dev bench ack|aggregates|catchup|journal|recovery [--json FILE] [options]

Builds the release, starts what it needs for this run alone, measures, prints the result as JSON and removes everything. The exit
code is 0 only if the targets were reached.

  ack       durable acknowledgements at 10,000 records/s against a bare durable write of 64 KiB: p50 within 3 times, p99 within 6
  aggregates
            rows per second beside the upkeep of the aggregates and without: it costs at most 10 %; and a day's average by device
            from minutes at least 100 times faster than from rows
  journal   rows per second into the hypertable with the journal and without: it costs at most 15 %
  catchup   rows per second after an outage of the database against live ones: no fewer
  recovery  from the start of a node with 1 GiB of journal to accepting records: under 2 s

./dev bench NAME --help tells the options of each. Nothing else should run on the machine meanwhile. The journal and the database
are on the file system of TMPDIR (/var/tmp): it has to be a disk.
TEXT
}

# Builds what is measured and runs one benchmark, which reads its own options.
main() {
  local name=${1:-}
  case "$name" in
    -h | --help)
      usage
      exit 0
      ;;
    ack | aggregates | catchup | journal | recovery) shift ;;
    "" | --*) name="" ;;
    *) fail_usage "there is no benchmark $name" ;;
  esac
  require_packages build client test
  say "building"
  "$scripts/build.sh" --preset release wellhead wellhead-loadgen durable_write >&2
  export DEV_COMMAND="./dev bench${name:+ $name}" WELLHEAD_BIN_DIR=$repository/build/release/bin PYTHONDONTWRITEBYTECODE=1
  exec python3 "$repository/bench/end_to_end/${name:-full}.py" "$@"
}

main "$@"
