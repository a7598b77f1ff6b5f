# shellcheck shell=bash disable=SC2034,SC2154 # demo.sh and demo_report.sh share its variables
# The node and the database of one demo: starting, measuring and removing them. Sourced, never run.

# How long the node may take until it is ready to take records, and to stop once it was told to.
readonly node_ready_seconds_max=30
readonly node_stop_seconds_max=60

run_directory=""
database_url=""
demo_database=""
node_pid=""
programs="$repository/build/release/bin"

# Starts the database, or makes one on the server that DATABASE_URL names, and lays the tables out.
start_database() {
  if [[ -n ${DATABASE_URL:-} ]]; then
    demo_database="wellhead_demo_$SRANDOM"
    say "making the database $demo_database on the server that DATABASE_URL names"
    query "$DATABASE_URL" "CREATE DATABASE $demo_database" || fail "no database can be made on the server that DATABASE_URL names"
    database_url=$(url_of_database "$DATABASE_URL" "$demo_database")
  else
    say "starting TimescaleDB"
    database_url=$("$scripts/cluster.sh" start "$run_directory/database")
  fi
  WELLHEAD_DATABASE_URL=$database_url "$programs/wellhead" migrate up --config "$run_directory/wellhead.toml" >"$run_directory/migrate.log" 2>&1 || {
    cat -- "$run_directory/migrate.log" >&2
    fail "the tables could not be made; above is what wellhead migrate up said"
  }
}

# Chooses the node's ports and writes its configuration. Settings in WELLHEAD_ variables go before it, as always.
configure_node() {
  http_port=$(free_port)
  ndjson_port=$(free_port)
  admin_port=$(free_port)
  cat >"$run_directory/wellhead.toml" <<TOML
node.id = "demo"
sink.kind = "$sink"
http.listen = "127.0.0.1:$http_port"
ndjson.listen = "127.0.0.1:$ndjson_port"
ndjson.acknowledge = true
admin.listen = "127.0.0.1:$admin_port"
journal.dir = "$run_directory/journal"
TOML
}

# Starts the node, in a session of its own so that a Ctrl-C reaches it through tear_down, in order; waits until it is ready.
start_node() {
  local deadline=$((SECONDS + node_ready_seconds_max))
  say "starting the node"
  WELLHEAD_DATABASE_URL=$database_url setsid "$programs/wellhead" serve --config "$run_directory/wellhead.toml" \
    </dev/null >"$run_directory/node.log" 2>&1 &
  node_pid=$!
  until curl --silent --fail --max-time 2 --output /dev/null "http://127.0.0.1:$admin_port/health/ready"; do
    if ! kill -0 "$node_pid" 2>/dev/null; then
      tail -n 20 -- "$run_directory/node.log" >&2
      fail "the node ended as soon as it was started; above is the end of its log"
    fi
    if ((SECONDS >= deadline)); then
      tail -n 20 -- "$run_directory/node.log" >&2
      fail "the node was not ready within $node_ready_seconds_max s; above is the end of its log"
    fi
    sleep 0.05
  done
}

# Stops the node and fails the demo if it does not end well.
stop_node() {
  local status=0 pid=$node_pid
  node_pid=""
  kill -TERM "$pid" 2>/dev/null || true
  wait_for_exit "$pid" || status=$?
  if ((status != 0)); then
    tail -n 20 -- "$run_directory/node.log" >&2
    fail "the node ended with exit code $status when it was stopped; above is the end of its log"
  fi
}

# Waits for the node's end and returns its exit code; a node that takes too long is killed.
# $1: its process.
wait_for_exit() {
  local deadline=$((SECONDS + node_stop_seconds_max))
  while kill -0 "$1" 2>/dev/null && ((SECONDS < deadline)); do sleep 0.05; done
  if ((SECONDS >= deadline)); then kill -KILL "$1" 2>/dev/null || true; fi
  wait "$1"
}

# Notes what only the running node and database can tell.
measure() {
  node_memory_kib=$(awk '$1 == "VmHWM:" { print $2 }' "/proc/$node_pid/status" 2>/dev/null || true)
  rows=null
  if [[ $sink == postgres ]]; then rows=$(query "$database_url" "SELECT count(*) FROM telemetry"); fi
}

# Says how to reach and how to stop what --keep leaves running.
tell_what_is_kept() {
  say "left running:"
  say "  node      http://127.0.0.1:$http_port  ndjson://127.0.0.1:$ndjson_port  http://127.0.0.1:$admin_port (process $node_pid)"
  if [[ -n $database_url ]]; then say "  database  ${demo_database:-its URL is in $run_directory/database/url}"; fi
  say "  files     $run_directory"
  say "to stop:    kill $node_pid${demo_database:+; drop the database $demo_database}; $scripts/cluster.sh destroy $run_directory/database; rm -r $run_directory"
}

# Stops and removes what was started. Logs stay when the demo failed, but not when it was interrupted.
# $1: the script's exit code.
tear_down() {
  trap '' INT TERM HUP
  if [[ -z $run_directory ]]; then return 0; fi
  if $keep && (($1 < 128)) && [[ -n $node_pid ]]; then
    tell_what_is_kept
    return 0
  fi
  if [[ -n $node_pid ]]; then
    kill -TERM "$node_pid" 2>/dev/null || true
    wait_for_exit "$node_pid" || true
  fi
  if [[ -n $demo_database ]]; then query "$DATABASE_URL" "DROP DATABASE IF EXISTS $demo_database WITH (FORCE)" || true; fi
  if [[ -f $run_directory/database/log ]]; then cp -- "$run_directory/database/log" "$run_directory/database.log"; fi
  "$scripts/cluster.sh" destroy "$run_directory/database" || true
  if (($1 == 0 || $1 >= 128)); then
    rm -rf -- "$run_directory"
  else
    say "logs are in $run_directory"
  fi
}
