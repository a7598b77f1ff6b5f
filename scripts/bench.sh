#!/usr/bin/env bash
# ./dev bench: the benchmarks, each against a reference that is measured in the same run.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source=scripts/packages.sh
source "$scripts/packages.sh"

# Prints how to call this.
usage() {
  cat <<'TEXT'
usage: ./dev bench [--quick] [--rounds N] [--rows N] [--json FILE] [--html FILE]
       ./dev bench --gate [--rounds N] [--rows N] [--json FILE]
       ./dev bench ack|aggregates|catchup|codec|journal|micro|recovery|scale|scoring [--json FILE] [options]

Builds the release, starts what it needs for this run alone, measures, prints the result and removes everything. The exit code is 0
only if the targets were reached.

Without a name: everything side by side in one report, a bulk load of the same rows, the node by each protocol, acknowledge level and
batch size, latency under load, what people run instead, memory, connections and the stages inside; a quarter of an hour, with --quick
some minutes. --gate measures what a change must not make slower, within 10 minutes, and fails only when the best is too slow.

With a name, one question more closely, told as JSON:

  ack       durable acknowledgements at 10,000 records/s against a bare durable write of 64 KiB: p50 within 3 times, p99 within 6
  aggregates
            rows per second beside the upkeep of the aggregates and without: it costs at most 10 %; and a day's average by device
            from minutes at least 100 times faster than from rows
  journal   rows per second into the hypertable with the journal and without: it costs at most 15 %
  catchup   rows per second after an outage of the database against live ones: no fewer
  recovery  from the start of a node with 1 GiB of journal to accepting records: under 2 s
  micro     each stage of a record's way beside its references in one process, as a table; the codec decodes and encodes at least
            0.6 times as fast as simdjson On-Demand merely reads all fields, and 2 million records/s a core
  codec     the decoder with rules and without, and with attributes of devices: rules cost at most 15 %
  scale     a model of what a record costs, which has to predict the rates of setups it was not fitted to within 20 %
  scoring   processor time a row with every reading judged and without: it adds at most 15 % to a shard and its session

./dev bench --help is this text; ./dev bench NAME --help tells the options of each. Nothing else should run on the machine meanwhile.
The journal and the database are on the file system of TMPDIR (/var/tmp): it has to be a disk.
TEXT
}

# Prints the programs that a benchmark runs, one a line.
# $1: the benchmark; empty for the comparison of everything.
programs_of() {
  local -a node=(wellhead wellhead-loadgen durable_write)
  local -a stages=(codec_bench histogram_bench parse_bench queue_bench scoring_bench sort_bench storage_bench)
  case "$1" in
    "") printf '%s\n' "${node[@]}" "${stages[@]}" multi_row_insert ;;
    codec) printf '%s\n' codec_bench ;;
    micro) printf '%s\n' "${stages[@]}" ;;
    *) printf '%s\n' "${node[@]}" ;;
  esac
}

# Builds what is measured and runs one benchmark, which reads its own options.
main() {
  local name=${1:-}
  local -a programs
  case "$name" in
    -h | --help)
      usage
      exit 0
      ;;
    ack | aggregates | catchup | codec | journal | micro | recovery | scale | scoring) shift ;;
    "" | --*) name="" ;;
    *) fail_usage "there is no benchmark $name" ;;
  esac
  require_packages build client test bench
  say "building"
  mapfile -t programs < <(programs_of "$name")
  "$scripts/build.sh" --preset release "${programs[@]}" >&2
  export DEV_COMMAND="./dev bench${name:+ $name}" WELLHEAD_BIN_DIR=$repository/build/release/bin PYTHONDONTWRITEBYTECODE=1
  exec python3 "$repository/bench/end_to_end/${name:-full}.py" "$@"
}

main "$@"
