#!/usr/bin/env bash
# ./dev db: a TimescaleDB to develop with.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source=scripts/packages.sh
source "$scripts/packages.sh"

# Prints how to call this.
usage() {
  cat <<'TEXT'
usage: ./dev db start|stop|status|url|psql|destroy

  start    start this clone's own TimescaleDB (the first time it is made) and print its URL
  stop     stop it; its data stay
  status   print whether it runs; exit code 3 if not
  url      print its URL
  psql     open psql on it, with any further arguments
  destroy  stop it and remove its data

If DATABASE_URL is set, that database is used instead, and start, stop and destroy leave it alone. Else an installed PostgreSQL
(15 or newer) that has the extension provides the programs, else Debian 13's packages do, unpacked into a private folder. The
system's own clusters are never touched: this one has its own data, its own loopback port and its own password.
TEXT
}

# Prints the folder of this clone's cluster; two clones have two.
developer_folder() {
  printf '%s/db-%s\n' "$(cache_directory)" "$(printf '%s' "$repository" | sha256sum | cut -c 1-12)"
}

# Prints the URL to use; the cluster must have been started.
current_url() {
  local folder
  if [[ -n ${DATABASE_URL:-} ]]; then
    printf '%s\n' "$DATABASE_URL"
    return 0
  fi
  folder=$(developer_folder)
  "$scripts/cluster.sh" status "$folder" || fail "the database does not run; start it with: ./dev db start"
  "$scripts/cluster.sh" url "$folder"
}

# Says whether the database runs.
show_status() {
  local folder
  folder=$(developer_folder)
  if [[ -n ${DATABASE_URL:-} ]]; then
    say "DATABASE_URL is set and used; whether it can be reached, psql tells"
  elif "$scripts/cluster.sh" status "$folder"; then
    say "running, data in $folder"
  else
    say "not running"
    exit 3
  fi
}

# Starts, stops or destroys this clone's cluster, or leaves the one that DATABASE_URL names alone.
# $1: what to do.
change_cluster() {
  if [[ -n ${DATABASE_URL:-} ]]; then
    say "DATABASE_URL is set: that database is used, and there is nothing to $1"
    if [[ $1 == start ]]; then current_url; fi
    return 0
  fi
  "$scripts/cluster.sh" "$1" "$(developer_folder)"
}

# Opens psql.
open_psql() {
  local url
  require_packages client
  url=$(current_url)
  exec psql "$url" "$@"
}

case "${1:-}" in
  start | stop | destroy) change_cluster "$1" ;;
  status) show_status ;;
  url) current_url ;;
  psql) open_psql "${@:2}" ;;
  -h | --help) usage ;;
  *) fail_usage "a command is needed: start, stop, status, url, psql or destroy" ;;
esac
