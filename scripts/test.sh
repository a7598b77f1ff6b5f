#!/usr/bin/env bash
# ./dev test: builds and runs every test against a real TimescaleDB.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source=scripts/packages.sh
source "$scripts/packages.sh"
# shellcheck source=scripts/preset.sh
source "$scripts/preset.sh"

# A test that takes longer than this hangs; one that has reason to is given a TIMEOUT of its own where it is registered.
readonly test_seconds_max=300

# Prints how to call this.
usage() {
  cat <<'TEXT'
usage: ./dev test [--preset release|debug|asan|tsan] [-R REGEX] [--quick]

Builds the preset and runs its tests against a TimescaleDB started for them alone, or the one that DATABASE_URL names, in which the
tests make and drop databases of their own. -R runs only the tests whose names match; --quick leaves out those labelled "slow".
The exit code is ctest's.

Tests find the database in WELLHEAD_TEST_DATABASE_URL (a superuser's) and the programs in WELLHEAD_BIN_DIR.
TEXT
}

# Stops and removes what this run started.
tear_down() {
  if [[ -n ${run_directory:-} ]]; then
    "$scripts/cluster.sh" destroy "$run_directory/database"
    rm -rf -- "$run_directory"
  fi
}

# Starts the database for the tests and exports its URL. Without a database the tests have failed: nothing is skipped quietly.
start_database() {
  if [[ -n ${DATABASE_URL:-} ]]; then
    export WELLHEAD_TEST_DATABASE_URL=$DATABASE_URL
    return 0
  fi
  WELLHEAD_TEST_DATABASE_URL=$("$scripts/cluster.sh" start "$run_directory/database") ||
    fail "the tests need a database and none could be started"
  export WELLHEAD_TEST_DATABASE_URL
}

# Sets how sanitizers report, unless the caller did.
set_sanitizer_options() {
  export ASAN_OPTIONS=${ASAN_OPTIONS:-abort_on_error=1:detect_stack_use_after_return=1:strict_string_checks=1}
  export UBSAN_OPTIONS=${UBSAN_OPTIONS:-print_stacktrace=1:halt_on_error=1}
  export TSAN_OPTIONS=${TSAN_OPTIONS:-halt_on_error=1:second_deadlock_stack=1:suppressions=$repository/tests/tsan.supp}
}

# Prints every skipped test with its reason, so that none is overlooked.
# $1: ctest's report in JUnit's form.
list_skipped() {
  python3 - "$1" <<'PYTHON'
import re, sys, xml.etree.ElementTree as tree

skipped = [case for case in tree.parse(sys.argv[1]).iter("testcase") if case.find("skipped") is not None]
if skipped:
    print(f"\n{len(skipped)} tests were skipped:")
for case in skipped:
    said = case.findtext("system-out") or ""
    reason = re.search(r"Skipped\n(.+?)\n(?:\n|\[)", said, re.DOTALL)
    lines = [line for line in said.splitlines() if line.strip()]
    print(f"  {case.get('name')}: {reason.group(1).strip() if reason else lines[-1] if lines else 'no reason given'}")
PYTHON
}

# Runs ctest.
# $1: the preset; the rest: further arguments for ctest.
run_tests() {
  local preset=$1 status=0
  shift
  set_sanitizer_options
  export WELLHEAD_BIN_DIR=$repository/build/$preset/bin
  run_for_preset "$preset" ctest --test-dir "$repository/build/$preset" --output-on-failure --no-tests=error --parallel 2 \
    --timeout "$test_seconds_max" --output-junit "$run_directory/report.xml" "$@" </dev/null || status=$?
  if [[ -f $run_directory/report.xml ]]; then list_skipped "$run_directory/report.xml"; fi
  return "$status"
}

# Reads the command line, builds and runs the tests.
main() {
  local preset=release
  local -a selection=()
  while (($#)); do
    case "$1" in
      --preset)
        preset=$(option_value "$1" "${2:-}")
        shift
        ;;
      -R)
        selection+=(-R "$(option_value "$1" "${2:-}")")
        shift
        ;;
      --quick) selection+=(-LE slow) ;;
      -h | --help)
        usage
        exit 0
        ;;
      *) fail_usage "there is no option $1" ;;
    esac
    shift
  done
  check_preset "$preset"
  require_packages build client test bench profile
  "$scripts/build.sh" --preset "$preset"
  trap tear_down EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM HUP
  run_directory=$(make_run_directory test)
  chmod 711 -- "$run_directory"
  start_database
  run_tests "$preset" "${selection[@]}"
}

main "$@"
