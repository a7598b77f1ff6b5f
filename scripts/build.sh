#!/usr/bin/env bash
# ./dev build: configures and builds one preset.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source=scripts/packages.sh
source "$scripts/packages.sh"
# shellcheck source=scripts/preset.sh
source "$scripts/preset.sh"

# Prints how to call this.
usage() {
  cat <<'TEXT'
usage: ./dev build [--preset release|debug|asan|tsan] [targets...]

Builds everything, or the targets named, into build/PRESET; programs are in build/PRESET/bin.
WELLHEAD_BUILD_JOBS sets how many compilers run at once (default: the cores, but no more than one for each 1.5 GiB of memory).
TEXT
}

# Prints how many compilers to run at once.
build_jobs() {
  local cores memory_kib by_memory
  cores=$(nproc)
  memory_kib=$(awk '$1 == "MemTotal:" { print $2 }' /proc/meminfo)
  by_memory=$((memory_kib / (1536 * 1024)))
  if ((by_memory < 1)); then by_memory=1; fi
  printf '%s\n' "${WELLHEAD_BUILD_JOBS:-$((cores < by_memory ? cores : by_memory))}"
}

# Configures a preset if that was not done yet (ninja does it again by itself when a CMakeLists.txt changes), then builds.
# $1: the preset; the rest: the targets, none for all.
build_preset() {
  local preset=$1 log
  shift
  cd -- "$repository"
  if [[ ! -f build/$preset/build.ninja ]]; then
    mkdir -p "build/$preset"
    log=build/$preset/configure.log
    cmake --preset "$preset" >"$log" 2>&1 || {
      cat "$log" >&2
      fail "cmake could not configure the $preset build; above is what it said"
    }
  fi
  run_for_preset "$preset" cmake --build "build/$preset" --parallel "$(build_jobs)" ${1:+--target "$@"}
}

# Reads the command line and builds.
main() {
  local preset=release
  local -a targets=()
  while (($#)); do
    case "$1" in
      --preset)
        preset=$(option_value "$1" "${2:-}")
        shift 2
        ;;
      -h | --help)
        usage
        exit 0
        ;;
      -*) fail_usage "there is no option $1" ;;
      *)
        targets+=("$1")
        shift
        ;;
    esac
  done
  check_preset "$preset"
  require_packages build
  build_preset "$preset" "${targets[@]}"
}

main "$@"
