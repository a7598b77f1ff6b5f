# shellcheck shell=bash disable=SC2154 # lib.sh, sourced before this, sets what is not set here
# Starting, finding and ending the processes of a cluster. Sourced, never run.

# How long a server may take until it accepts connections (replaying its log after a crash included), and until it is down.
readonly start_seconds_max=120
readonly stop_seconds_max=60

# How long the other processes of a server may take to notice that the first is gone.
readonly orphan_seconds_max=10

# How many ports are tried before giving up: somebody else may take one between our look and the server's bind.
readonly port_attempts_max=10

# Leaves in the array account_command what to put before a command so that it runs under an account without privileges if we are
# root, else as ourselves, with an environment that decides nothing.
# $1: the account, "nobody" or the database's own number.
set_account_command() {
  account_command=(env -i PATH=/usr/bin:/bin LC_ALL=C TZ=UTC)
  if is_root; then
    account_command=(setpriv "--reuid=$1" "--regid=$(id -g -- "$1" 2>/dev/null || printf '%s' "$1")" --clear-groups
      --inh-caps=-all --no-new-privs "${account_command[@]}")
  fi
}

# Runs a command under an account as set_account_command has it.
# $1: the account; the rest: the command.
as_account() {
  local -a account_command
  set_account_command "$1"
  shift
  "${account_command[@]}" "$@"
}

# True if a process exists and has not ended. A container's first process may never collect the dead.
process_is_alive() {
  local line
  { read -r line <"/proc/$1/stat"; } 2>/dev/null || return 1
  line=${line##*) }
  [[ ${line%% *} != [ZX] ]]
}

# Prints the number of the cluster's first process; fails if it does not run. The file with the number outlives a crash, and the
# number may then be anybody's: the process is ours if it works in our folder. Only its own account may always look there: root in
# a container mostly may not.
cluster_pid() {
  local pid
  { read -r pid <"$1/data/postmaster.pid"; } 2>/dev/null || return 1
  if [[ $pid =~ ^[0-9]+$ && $(as_account "$database_uid" readlink -- "/proc/$pid/cwd") == "$(readlink -f -- "$1/data")" ]]; then
    printf '%s\n' "$pid"
  else
    return 1
  fi
}

# True if the cluster runs.
cluster_is_running() {
  cluster_pid "$1" >/dev/null
}

# Prints the numbers of a process's children.
children_of() {
  local stat line
  for stat in /proc/[0-9]*/stat; do
    { read -r line <"$stat"; } 2>/dev/null || continue
    # What follows the name, which is in parentheses and may hold anything: state, parent, ...
    line=${line##*) }
    line=${line#* }
    if [[ ${line%% *} == "$1" ]]; then
      stat=${stat%/stat}
      printf '%s\n' "${stat#/proc/}"
    fi
  done
}

# True if a process, the dead that nobody has collected aside, works in the cluster's folder.
is_worked_in() {
  # shellcheck disable=SC2016 # for the inner shell to expand
  as_account "$database_uid" bash -c 'for process in /proc/[0-9]*; do [[ $process/cwd -ef $1 ]] && exit 0; done; exit 1' bash "$1/data"
}

# Removes what a server that is gone left behind. PostgreSQL does that itself except when the number of its process is taken: by
# an unrelated process, or by its own remains where nobody collects the dead. It is done only once none of its other processes is
# left, which end by themselves soon after the first has.
# $1: the folder.
forget_dead_server() {
  local deadline=$((SECONDS + orphan_seconds_max))
  if [[ ! -f $1/data/postmaster.pid ]]; then return 0; fi
  while is_worked_in "$1"; do
    # Whoever it is, PostgreSQL decides whether it can start, and says why not.
    if ((SECONDS >= deadline)); then return 0; fi
    sleep 0.05
  done
  rm -f -- "$1/data/postmaster.pid"
}

# Waits until the server accepts connections; fails if it ended instead or takes too long.
# $1: the folder; $2: the number of its first process.
wait_until_ready() {
  local -a lines
  local deadline=$((SECONDS + start_seconds_max))
  while ((SECONDS < deadline)); do
    if ! process_is_alive "$2"; then return 1; fi
    lines=()
    { mapfile -t lines <"$1/data/postmaster.pid"; } 2>/dev/null || true
    if [[ ${lines[0]:-} == "$2" && ${lines[7]:-} == ready* ]]; then return 0; fi
    sleep 0.02
  done
  say "PostgreSQL in $1 did not come up within $start_seconds_max s"
  kill -QUIT "$2"
  return 1
}

# Starts the server on a port and waits until it is ready. It gets a session of its own, so that a Ctrl-C at our terminal does
# not shut the database down, and none of our open files: neither the lock nor the pipe that somebody reads our output from.
# $1: the folder; $2: the programs; $3: the port.
launch() {
  local -a account_command
  set_account_command "$database_uid"
  printf '%s\n' "$3" >"$1/port"
  : >>"$1/log"
  cd -- "$1" || return 1
  setsid "${account_command[@]}" "$2/postgres" -D "$1/data" -p "$3" </dev/null >>"$1/log" 2>&1 {cluster_lock}>&- &
  wait_until_ready "$1" $!
}

# Starts the server on the port it had before, or on a free one.
# $1: the folder; $2: the programs.
launch_on_a_port() {
  local port attempt log_lines
  for ((attempt = 0; attempt < port_attempts_max; attempt++)); do
    if ((attempt > 0)) || ! { read -r port <"$1/port"; } 2>/dev/null || port_is_taken "$port"; then port=$(free_port); fi
    log_lines=$(wc -l <"$1/log")
    if launch "$1" "$2" "$port"; then return 0; fi
    if ! tail -n "+$((log_lines + 1))" -- "$1/log" | grep -q 'could not bind'; then break; fi
  done
  tail -n 20 -- "$1/log" >&2
  fail "PostgreSQL did not start; above is the end of its log, $1/log"
}

# Waits until processes have ended; fails when that takes too long.
# $1: seconds; the rest: the processes.
wait_until_gone() {
  local deadline=$((SECONDS + $1)) pid
  shift
  for pid in "$@"; do
    while process_is_alive "$pid"; do
      if ((SECONDS >= deadline)); then return 1; fi
      sleep 0.02
    done
  done
}

# Stops the cluster if it runs.
# $1: the folder; $2: INT to end sessions and write everything out, QUIT to end at once.
stop_cluster() {
  local pid
  pid=$(cluster_pid "$1") || return 0
  kill "-$2" "$pid"
  if ! wait_until_gone "$stop_seconds_max" "$pid"; then
    say "PostgreSQL in $1 did not stop within $stop_seconds_max s: it is killed"
    kill_cluster "$1"
  fi
}

# Kills every process of the cluster, as a crash of the database would. The first one is halted before we look for its children,
# so that it starts no more.
kill_cluster() {
  local pid
  local -a children
  pid=$(cluster_pid "$1") || return 0
  kill -STOP "$pid"
  mapfile -t children < <(children_of "$pid")
  kill -KILL "$pid" "${children[@]}" 2>/dev/null || true
  wait_until_gone "$stop_seconds_max" "$pid" "${children[@]}" || fail "processes of PostgreSQL in $1 survived being killed"
}
