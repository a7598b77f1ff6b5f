#!/usr/bin/env bash
# ./dev lint: everything that can be said about the sources without running them.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source=scripts/packages.sh
source "$scripts/packages.sh"
# shellcheck source=scripts/sources.sh
source "$scripts/sources.sh"

# Prints how to call this.
usage() {
  cat <<'TEXT'
usage: ./dev lint [--changed] [files...]

Checks formatting (clang-format 19), clang-tidy 19's findings with our naming rules, and the shell scripts (shellcheck): of all
files, of those named, or with --changed of those that differ from the upstream branch. A header is checked through the sources
that include it. clang-tidy reads how files are compiled from build/release, which is configured if it is not there.
TEXT
}

# Prints the sources that clang-tidy must read to see the given files: themselves, and for headers whatever includes them.
# The arguments are the files.
sources_showing() {
  local file
  for file in "$@"; do
    case "$file" in
      *.cpp) printf '%s\n' "$file" ;;
      *.hpp) cpp_files | grep '\.cpp$' | xargs -r grep -lF "#include \"$file\"" || true ;;
    esac
  done | sort -u
}

# Prints the sources that the release build compiles, relative to the repository.
compiled_sources() {
  sed -n -E 's/^ *"file": "(.*)",?$/\1/p' build/release/compile_commands.json | sed "s|^$repository/||"
}

# Runs clang-tidy on as many files at once as there are cores; prints only findings.
# The arguments are the files.
run_clang_tidy() {
  local sources
  sources=$(sources_showing "$@" | only_among "$(compiled_sources)")
  if [[ -z $sources ]]; then return 0; fi
  xargs -r -d '\n' -n 1 -P "$(nproc)" clang-tidy-19 --quiet -p build/release --warnings-as-errors='*' <<<"$sources" 2> >(
    grep -v -E '^[0-9]+ warnings? (generated|treated)|^Suppressed|^Use -header-filter|^$' >&2 || true
  )
}

# Configures the release build if it was never configured, for its list of how files are compiled.
ensure_compile_commands() {
  if [[ ! -f build/release/compile_commands.json ]]; then
    require_packages build
    mkdir -p build/release
    cmake --preset release >build/release/configure.log 2>&1 ||
      fail "cmake could not configure the release build: build/release/configure.log says why"
  fi
}

# Runs every check on the files; all of them run even if one fails.
# The arguments are the files.
check_files() {
  local -a cpp=() shell=()
  local status=0
  mapfile -t cpp < <(printf '%s\n' "$@" | only_among "$(cpp_files)")
  mapfile -t shell < <(printf '%s\n' "$@" | only_among "$(shell_files)")
  if ((${#shell[@]})); then
    shellcheck -x "${shell[@]}" || status=1
  fi
  if ((${#cpp[@]})); then
    printf '%s\0' "${cpp[@]}" | xargs -0 clang-format-19 --dry-run --Werror || status=1
    ensure_compile_commands
    run_clang_tidy "${cpp[@]}" || status=1
  fi
  return "$status"
}

# Reads the command line and checks.
main() {
  local changed=false
  local -a files=()
  while (($#)); do
    case "$1" in
      --changed) changed=true ;;
      -h | --help)
        usage
        exit 0
        ;;
      -*) fail_usage "there is no option $1" ;;
      *) files+=("$(realpath --relative-to="$repository" -- "$1")") ;;
    esac
    shift
  done
  require_packages format lint
  cd -- "$repository"
  if $changed; then
    mapfile -t files < <(changed_files)
  elif ((${#files[@]} == 0)); then
    mapfile -t files < <(cpp_files && shell_files)
  fi
  if ((${#files[@]} == 0)); then return 0; fi
  check_files "${files[@]}" || fail "there are findings, above"
  say "lint: no findings"
}

main "$@"
