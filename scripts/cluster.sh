#!/usr/bin/env bash
# A private PostgreSQL with TimescaleDB in a folder of its own. ./dev db keeps one; tests, the demo and fault tests start and
# kill theirs through this script.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source=scripts/packages.sh
source "$scripts/packages.sh"
# shellcheck source=scripts/timescaledb.sh
source "$scripts/timescaledb.sh"
# shellcheck source=scripts/cluster_process.sh
source "$scripts/cluster_process.sh"
# shellcheck source=scripts/cluster_settings.sh
source "$scripts/cluster_settings.sh"

# The file that marks a folder as one that this script made and may remove.
readonly cluster_mark=.wellhead-cluster

# Prints how to call this.
usage() {
  cat <<'TEXT'
usage: scripts/cluster.sh COMMAND FOLDER

  start FOLDER [NAME=VALUE...]  start the cluster, made first if there is none, with further settings; prints its URL
  replica FOLDER OF URL [NAME=VALUE...]
                                start an asynchronous replica of the cluster in the folder OF, streaming from URL; prints its URL
  url FOLDER [DATABASE]         print the URL of a database in it, that of the superuser
  status FOLDER                 exit 0 if it runs, 3 if not
  stop FOLDER                   shut down in good order
  kill9 FOLDER                  kill every process of it at once, as a crash would
  pid FOLDER                    print the number of the server's first process, the parent of all others
  destroy FOLDER                stop it at once and remove the folder

The server listens on one loopback port, kept over restarts while it is free, and asks for a password. The password and the URL
are in FOLDER/password and FOLDER/url, readable by you alone; the server's log is FOLDER/log.
TEXT
}

# Prints the URL of one database.
# $1: the folder; $2: the database.
cluster_url() {
  printf 'postgresql://postgres:%s@127.0.0.1:%s/%s\n' "$(<"$1/password")" "$(<"$1/port")" "$2"
}

# Writes a new password, 192 bits of it.
# $1: the file, made readable by its owner alone.
write_password() {
  (umask 077 && od -An -N24 -tx1 /dev/urandom | tr -d ' \n' >"$1")
}

# Makes a new, empty cluster in FOLDER/data: in a folder beside it first, so that one that was interrupted is not taken for a
# cluster. Its text sorts by bytes, which depends on nothing that the machine has installed.
# $1: the folder; $2: the programs.
make_cluster() {
  local folder=$1 programs=$2 work=$1/data.new
  rm -rf -- "$work"
  mkdir -m 700 -- "$work"
  write_password "$folder/password"
  install -m 600 -- "$folder/password" "$folder/password.initdb"
  if is_root; then chown nobody -- "$work" "$folder/password.initdb"; fi
  # initdb wants an account with a name, which nobody is and ours is not.
  as_account nobody "$programs/initdb" -D "$work" -U postgres --pwfile="$folder/password.initdb" -A scram-sha-256 \
    --encoding=UTF8 --locale=C --no-sync --no-instructions >"$folder/log" 2>&1 || {
    cat -- "$folder/log" >&2
    fail "initdb could not make a database cluster in $folder (above is what it said)"
  }
  rm -f -- "$folder/password.initdb"
  printf "include_if_exists = '../settings.conf'\n" >>"$work/postgresql.conf"
  if is_root; then chown -R "$database_uid:$database_uid" -- "$work"; fi
  mv -- "$work" "$folder/data"
}

# Ends the script unless the database's account can get to the folder.
check_reachable() {
  if ! as_account "$database_uid" test -x "$1"; then
    fail "$1 cannot be reached by the unprivileged account (uid $database_uid) that PostgreSQL has to run under when you are root; choose a folder outside of private ones, for example with TMPDIR=/var/tmp or WELLHEAD_CACHE_DIR=/var/cache/wellhead"
  fi
}

# Starts the cluster unless it runs, and prints its URL.
# $1: the folder; the rest: settings.
start_cluster() {
  local folder=$1 programs
  shift
  mkdir -p -- "$folder"
  folder=$(cd -- "$folder" && pwd -P)
  touch -- "$folder/$cluster_mark"
  if is_root; then chmod 711 -- "$folder"; fi
  exec {cluster_lock}>"$folder/lock"
  flock "$cluster_lock"
  if ! cluster_is_running "$folder"; then
    programs=$(timescaledb_programs)
    check_reachable "$folder"
    check_reachable "$programs"
    if [[ ! -d $folder/data ]]; then make_cluster "$folder" "$programs"; fi
    write_settings "$@" >"$folder/settings.conf"
    chmod 644 -- "$folder/settings.conf"
    forget_dead_server "$folder"
    launch_on_a_port "$folder" "$programs"
    (umask 077 && cluster_url "$folder" postgres >"$folder/url")
  fi
  exec {cluster_lock}>&-
  cluster_url "$folder" postgres
}

# Makes a replica in FOLDER/data: a copy of a running cluster that goes on streaming from it once it is started.
# $1: the folder; $2: the folder of the cluster; $3: the URL to stream from, of that cluster or of what lies before it.
make_replica() {
  local folder=$1 origin=$2 url=$3 programs
  mkdir -p -- "$folder"
  touch -- "$folder/$cluster_mark"
  if is_root; then chmod 711 -- "$folder"; fi
  check_reachable "$folder"
  programs=$(timescaledb_programs)
  install -m 600 -- "$origin/password" "$folder/password"
  mkdir -m 700 -- "$folder/data"
  if is_root; then chown "$database_uid:$database_uid" -- "$folder/data"; fi
  as_account "$database_uid" "$programs/pg_basebackup" --dbname="$url" -D "$folder/data" --write-recovery-conf --checkpoint=fast \
    >"$folder/log" 2>&1 || {
    cat -- "$folder/log" >&2
    fail "the cluster in $origin could not be copied to $folder (above is what pg_basebackup said)"
  }
}

# Stops the cluster at once and removes its folder, if it is one that this script made.
destroy_cluster() {
  if [[ ! -e $1 ]]; then return 0; fi
  if [[ ! -f $1/$cluster_mark ]]; then
    fail "$1 is not the folder of a cluster started by this script: it is left alone"
  fi
  stop_cluster "$1" QUIT
  rm -rf -- "$1"
}

# Runs one command.
main() {
  if [[ ${1:-} == -h || ${1:-} == --help ]]; then
    usage
    exit 0
  fi
  if (($# < 2)); then fail_usage "a command and a folder are needed"; fi
  local command=$1 folder=$2
  shift 2
  case "$command" in
    start) start_cluster "$folder" "$@" ;;
    replica)
      if (($# < 2)); then fail_usage "a replica needs the folder of its cluster and the URL to stream from"; fi
      make_replica "$folder" "$1" "$2"
      start_cluster "$folder" "${@:3}"
      ;;
    url) cluster_url "$folder" "${1:-postgres}" ;;
    status) cluster_is_running "$folder" || exit 3 ;;
    stop) stop_cluster "$folder" INT ;;
    kill9) kill_cluster "$folder" ;;
    pid) cluster_pid "$folder" || fail "no cluster runs in $folder" ;;
    destroy) destroy_cluster "$folder" ;;
    *) fail_usage "there is no command $command" ;;
  esac
}

main "$@"
