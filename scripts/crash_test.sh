#!/usr/bin/env bash
# ./dev crash-test: kills a real node and a real database under load, over and over, and proves that nothing acknowledged is lost.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source=scripts/packages.sh
source "$scripts/packages.sh"

# Prints how to call this.
usage() {
  cat <<'TEXT'
usage: ./dev crash-test [--kills N] [--target node|database|both] [--rate R] [--no-retry] [--seed S] [--json FILE] [--config FILE]

Builds the release, starts a TimescaleDB and a node for this run alone, sends records by HTTP and NDJSON, and kills the node, the
database or both with SIGKILL at random moments. HTTP clients repeat what was not answered. In the end every row is read back, and
`wellhead audit` compares the journal with the database. The exit code is 0 only if each acknowledged record is there exactly
once, each unanswered one at most once, and nothing else, and if the audit holds.

  --kills N        how often to kill, 1 to 1000 (50)
  --target T       what is killed: node, database, or both: each alone and the two together, by chance (both)
  --rate R         records per second, shared by HTTP, HTTP with Ack: commit, and NDJSON (4000)
  --no-retry       send by HTTP without an Idempotency-Key, each request once; else what was not answered is repeated until it is
  --seed S         of the random moments; without it a random one, which is printed
  --json FILE      write the result there as well: {kills, acknowledged, committed, lost, duplicated, recovery_ms{p50,max}, ...}
  --config FILE    further settings for the node, TOML with whole keys

recovery_ms counts from the start of what was killed to the first record that is acknowledged again; where the database was
killed, acknowledged as committed.
TEXT
}

# Builds and runs the test, which reads its own options.
main() {
  if [[ ${1:-} == -h || ${1:-} == --help ]]; then
    usage
    exit 0
  fi
  require_packages build client test
  say "building"
  "$scripts/build.sh" --preset release wellhead wellhead-loadgen >&2
  export WELLHEAD_BIN_DIR=$repository/build/release/bin PYTHONDONTWRITEBYTECODE=1
  exec python3 "$repository/tests/integration/crash_test.py" "$@"
}

main "$@"
