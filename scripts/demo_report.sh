# shellcheck shell=bash disable=SC2154 # demo.sh and demo_stage.sh, sourced before this, set what is not set here
# What a demo found, as a table and as JSON. Sourced, never run.

# The share of the rate that must have been held.
readonly rate_share_min=0.99

# Prints the result as JSON: the load generator's numbers with ours. What cannot be known with the null sink is null.
result_json() {
  jq --argjson rows "$rows" --argjson node_cpu "$node_cpu" --argjson database_cpu "$database_cpu" \
    --argjson loadgen_cpu "$loadgen_cpu" --argjson node_memory_kib "${node_memory_kib:-null}" --arg sink "$sink" \
    --argjson target "$($maximum && printf 'null' || printf '%s' "$rate")" --arg protocol "$protocol" \
    --argjson batch "$batch" --argjson wells "$wells" --argjson connections "$connections" \
    --slurpfile load "$run_directory/loadgen.json" --null-input '
    $load[0] as $load | ($sink == "null") as $unproven |
    {
      sent: $load.sent, acknowledged: $load.acknowledged, rejected: $load.rejected,
      committed: $rows,
      lost: (if $unproven then null else $load.lost end),
      duplicated: (if $unproven then null else $load.duplicated end),
      mismatched: (if $unproven then null else $load.mismatched end),
      rate: $load.rate, rate_target: $target,
      ack_latency_us: ($load.ack_latency_us | {p50, p90, p99, p999, max}),
      cpu_seconds: { node: $node_cpu, database: $database_cpu, loadgen: $loadgen_cpu },
      node_memory_kib_max: $node_memory_kib,
      sink: $sink, protocol: $protocol, batch: $batch, wells: $wells, connections: $connections
    }'
}

# Prints the table for a person.
# $1: the result as JSON.
print_table() {
  jq -r '
    def grouped: tostring | until(test("^-?[0-9]{1,3}(,|$)"); sub("(?<head>[0-9])(?<tail>[0-9]{3})(?=,|$)"; "\(.head),\(.tail)"));
    def whole: if . == null then "not known" else floor | grouped end;
    def row($name; $value): "  " + $name + " " * (26 - ($name | length)) + " " * ([12 - ($value | length), 0] | max) + $value;
    def milliseconds: if . == null then "not known" else (. / 10 | round | . / 100 | tostring) + " ms" end;
    def seconds: if . == null then "not known" else tostring + " s" end;
    "",
    "records",
    row("sent"; .sent | whole), row("acknowledged"; .acknowledged | whole), row("rejected"; .rejected | whole),
    row("rows in the hypertable"; .committed | whole), row("lost"; .lost | whole), row("duplicated"; .duplicated | whole),
    row("per second"; .rate | whole),
    "time to acknowledge",
    row("p50"; .ack_latency_us.p50 | milliseconds), row("p90"; .ack_latency_us.p90 | milliseconds),
    row("p99"; .ack_latency_us.p99 | milliseconds), row("p99.9"; .ack_latency_us.p999 | milliseconds),
    row("max"; .ack_latency_us.max | milliseconds),
    "CPU time",
    row("node"; .cpu_seconds.node | seconds), row("database"; .cpu_seconds.database | seconds),
    row("load generator, verifier"; .cpu_seconds.loadgen | seconds),
    "memory",
    row("node, at most"; if .node_memory_kib_max then "\(.node_memory_kib_max / 1024 | round) MiB" else "not known" end),
    ""' <<<"$1"
}

# Prints every reason why the demo has failed, a line each; nothing if it has not.
# $1: the result as JSON.
reasons_of_failure() {
  jq -r --argjson share "$rate_share_min" '
    (if .sink != "null" and .lost != 0 then "\(.lost) acknowledged records are not in the hypertable" else empty end),
    (if .sink != "null" and .duplicated != 0 then "\(.duplicated) records are there more than once" else empty end),
    (if .sink != "null" and (.mismatched // 0) != 0 then "\(.mismatched) rows hold other values than were sent" else empty end),
    (if (.acknowledged // 0) == 0 then "nothing was acknowledged" else empty end),
    (if .rate_target != null and .rate < $share * .rate_target
      then "the rate was not held: \(.rate | round) of \(.rate_target) records/s" else empty end)' <<<"$1"
}

# Prints the result and ends the script with what it means.
# $1: the load generator's exit code.
report() {
  local result reasons
  if [[ ! -s $run_directory/loadgen.json ]]; then fail "the load generator ended with exit code $1 and left no result"; fi
  result=$(result_json)
  print_table "$result"
  if [[ -n $json_file ]]; then printf '%s\n' "$result" >"$json_file"; fi
  if [[ $sink == null ]]; then say "The null sink stores nothing: that records arrive, and only once, is not shown by this run."; fi
  reasons=$(reasons_of_failure "$result")
  if [[ -n $reasons ]]; then fail "${reasons//$'\n'/; }"; fi
  if (($1 != 0)); then fail "the load generator ended with exit code $1; above is what it said"; fi
}
