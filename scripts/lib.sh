# shellcheck shell=bash disable=SC2034 # those who source this use the variables
# What every script here shares. Sourced, never run.

# A failure inside of $(...) ends the script as it does anywhere else.
shopt -s inherit_errexit

repository="$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)"
scripts="$repository/scripts"

# The account PostgreSQL runs under when we are root, which it refuses to be. No such account has to exist: the number lies in
# the range that neither Debian nor systemd gives to anyone, so that nobody else's processes can touch the database's.
readonly database_uid=61017

# Tells the person at the terminal what is happening; standard output belongs to results.
say() {
  printf '%s\n' "$*" >&2
}

# Ends the script with a sentence saying what happened and what to do.
fail() {
  say "${DEV_COMMAND:-$(basename -- "$0")}: $*"
  exit 1
}

# Ends the script because it was called in a way it does not understand.
# $1: the sentence; the calling script's usage function prints the rest.
fail_usage() {
  say "${DEV_COMMAND:-$(basename -- "$0")}: $1"
  usage >&2
  exit 2
}

# Prints an option's value, or ends the script because there is none.
# $1: the option; $2: what follows it on the command line.
option_value() {
  if [[ -z ${2:-} ]]; then fail_usage "$1 needs a value"; fi
  printf '%s\n' "$2"
}

# True if the script runs as root.
is_root() {
  [[ $(id -u) -eq 0 ]]
}

# Prints the folder for what is built once and can be built again. Root's must be one that an unprivileged PostgreSQL can
# reach, which /root/.cache is not.
cache_directory() {
  if [[ -n ${WELLHEAD_CACHE_DIR:-} ]]; then
    printf '%s\n' "$WELLHEAD_CACHE_DIR"
  elif is_root; then
    printf '/var/cache/wellhead\n'
  else
    printf '%s/wellhead\n' "${XDG_CACHE_HOME:-$HOME/.cache}"
  fi
}

# Makes a new folder for one run and prints its name. /var/tmp because /tmp is memory on newer systems, where a database's
# fsync costs nothing and its files cost what the node should be measured with.
# $1: what it is for, a part of its name.
make_run_directory() {
  mktemp -d "${TMPDIR:-/var/tmp}/wellhead-$1-XXXXXX"
}

# True if something listens on a loopback port.
port_is_taken() {
  (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null
}

# Prints a loopback port nothing listens on. It lies below the range that outgoing connections take theirs from, so that it is
# still free a moment later unless somebody asks for it by number.
free_port() {
  local port attempt
  for ((attempt = 0; attempt < 100; attempt++)); do
    port=$((10000 + SRANDOM % 22000))
    if ! port_is_taken "$port"; then
      printf '%s\n' "$port"
      return 0
    fi
  done
  fail "found no free loopback port between 10000 and 32000"
}

# True if the value is a whole number above zero.
is_positive_integer() {
  [[ $1 =~ ^[1-9][0-9]{0,17}$ ]]
}
