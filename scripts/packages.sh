# shellcheck shell=bash disable=SC2154 # lib.sh, sourced before this, sets what is not set here
# Installs what is missing from the distribution's packages; packages.txt says what and why. Sourced, never run.

# Prints the alternatives that one group of packages.txt asks for, one package a line.
# $1: the group.
packages_of_group() {
  awk -v group="$1" '$1 == group { print $2 }' "$scripts/packages.txt"
}

# True if a package is installed.
package_is_installed() {
  [[ $(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null) == installed ]]
}

# True if one of the alternatives ("a|b") is installed.
any_is_installed() {
  local package
  for package in ${1//|/ }; do
    if package_is_installed "$package"; then return 0; fi
  done
  return 1
}

# Prints the first of the alternatives ("a|b") that the package lists hold, or the first at all, for apt-get to complain about.
first_available() {
  local package
  for package in ${1//|/ }; do
    if [[ -n $(apt-cache madison "$package" 2>/dev/null) ]]; then
      printf '%s\n' "$package"
      return 0
    fi
  done
  printf '%s\n' "${1%%|*}"
}

# Runs a command as root: by itself, or through sudo.
as_root() {
  if is_root; then
    "$@"
  else
    sudo -- "$@"
  fi
}

# Runs apt-get, silent unless it fails.
quiet_apt_get() {
  local log status=0
  log=$(mktemp)
  as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=300 "$@" </dev/null >"$log" 2>&1 || status=$?
  if [[ $status -ne 0 ]]; then
    tail -n 40 "$log" >&2
  fi
  rm -f -- "$log"
  return "$status"
}

# Installs every missing package of the groups named, or ends the script with the reason why it cannot.
require_packages() {
  local group alternatives
  local -a missing=() names=()
  if ! command -v dpkg-query >/dev/null; then
    say "this is no Debian or Ubuntu system: the programs and libraries in scripts/packages.txt are taken to be installed already"
    return 0
  fi
  for group in "$@"; do
    while read -r alternatives; do
      if ! any_is_installed "$alternatives"; then missing+=("$alternatives"); fi
    done < <(packages_of_group "$group")
  done
  if [[ ${#missing[@]} -eq 0 ]]; then return 0; fi

  if ! is_root && ! command -v sudo >/dev/null; then
    fail "packages are missing and there is no sudo to install them with; run as root: apt-get install --no-install-recommends ${missing[*]%%|*}"
  fi
  say "installing ${#missing[@]} packages: ${missing[*]%%|*}"
  quiet_apt_get update || fail "apt-get update failed (above is what it said): packages cannot be installed"
  for alternatives in "${missing[@]}"; do names+=("$(first_available "$alternatives")"); done
  quiet_apt_get install --no-install-recommends "${names[@]}" ||
    fail "apt-get install failed (above is what it said); to see it again: apt-get install --no-install-recommends ${names[*]}"
}
