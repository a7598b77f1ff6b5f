#!/usr/bin/env bash
# ./dev fmt: formats the C++ sources.
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
usage: ./dev fmt [--check] [files...]

Formats the C++ files named, or all, with clang-format 19. With --check nothing is changed: the exit code is 1 if something would be.
TEXT
}

# Reads the command line and formats.
main() {
  local -a mode=(-i) files=()
  while (($#)); do
    case "$1" in
      --check) mode=(--dry-run --Werror) ;;
      -h | --help)
        usage
        exit 0
        ;;
      -*) fail_usage "there is no option $1" ;;
      *) files+=("$(realpath --relative-to="$repository" -- "$1")") ;;
    esac
    shift
  done
  require_packages format
  cd -- "$repository"
  if ((${#files[@]} == 0)); then mapfile -t files < <(cpp_files); fi
  if ((${#files[@]} == 0)); then return 0; fi
  printf '%s\0' "${files[@]}" | xargs -0 clang-format-19 "${mode[@]}"
}

main "$@"
