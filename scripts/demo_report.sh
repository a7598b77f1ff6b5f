# shellcheck shell=bash disable=SC2154 # demo.sh and demo_stage.sh, sourced before this, set what is not set here
# What a demo found: the load generator's report with what it cannot know, as text and as JSON. Sourced, never run.

# The share of the rate that must have been held.
readonly rate_share_min=0.99

# Prints the result as JSON: the load generator's, with the rows that the hypertable holds as PostgreSQL counts them, which is
# another way than that of the verifier. What cannot be known is null.
result_json() {
  jq --argjson rows "$rows" --argjson memory "${node_memory_kib:-null}" --arg sink "$sink" --arg protocol "$protocol" \
    --argjson batch "$batch" --argjson wells "$wells" --argjson connections "$connections" '
    . + {
      committed: $rows, verified: .committed,
      cpu_seconds: ({ node: null, database: null } + .cpu_seconds), node_memory_kib_max: $memory,
      sink: $sink, protocol: $protocol, batch: $batch, wells: $wells, connections: $connections
    }' "$run_directory/loadgen.json"
}

# Prints every reason why the demo has failed, a line each; nothing if it has not.
# $1: the result as JSON.
reasons_of_failure() {
  jq -r --argjson share "$rate_share_min" '
    (select(.acknowledged == 0) | "nothing was acknowledged"),
    (select(.target_rate != null and .rate < $share * .target_rate) |
      "the rate was not held: \(.rate | round) of \(.target_rate) records/s"),
    (select(.sink != "null") |
      (select(.lost != 0) | "\(.lost) acknowledged records are not in the hypertable"),
      (select(.duplicated != 0) | "\(.duplicated) records are there more than once"),
      (select(.mismatched != 0) | "\(.mismatched) rows hold other values than were sent"),
      (select(.committed != .verified) | "the hypertable holds \(.committed) rows, but the verifier found \(.verified)"))' <<<"$1"
}

# Prints what the load generator's report does not have.
# $1: the result as JSON.
print_additions() {
  printf 'The node used %s MiB of memory at most.\n' "$(jq '.node_memory_kib_max // 0 | . / 1024 | round' <<<"$1")"
  if [[ $sink == null ]]; then
    printf 'Its sink stores nothing: that records arrive, and only once, is not shown by this run.\n'
  else
    printf 'PostgreSQL counts %s rows in the hypertable.\n' "$rows"
  fi
}

# Prints the result, and ends the script if it is not what was promised.
# $1: the load generator's exit code.
report() {
  local result reasons
  if [[ ! -s $run_directory/loadgen.json ]]; then fail "the load generator ended with exit code $1 and left no result"; fi
  result=$(result_json)
  print_additions "$result"
  if [[ -n $json_file ]]; then printf '%s\n' "$result" >"$json_file"; fi
  reasons=$(reasons_of_failure "$result")
  if [[ -n $reasons ]]; then fail "${reasons//$'\n'/; }"; fi
  if (($1 != 0)); then fail "the load generator ended with exit code $1; above is what it found"; fi
}
