"""What the aggregates cost that the node keeps, and what they save.

Upkeep: rows per second into the hypertable while the node computes what came before and then rests, as long as it does when it
runs for long, against the same where nothing is told of what was written and nothing is computed. Rows that are told of and not
computed are measured in between, to see which of the two costs. Records go by NDJSON as fast as they are answered; the ways take
turns. Told as well is the rate while the node computes, how long computing takes with nothing beside it, and, which depends least on
what else the machine does, the processor time of each: of the node and the backends that store its rows, and of the backend that
computes, for a million rows each.

Saving: the average of each device over 24 hours from telemetry_1min, against the same from the rows.
"""

import statistics
import sys
import time

from harness import MAXIMUM, Run, committed, committed_rate, drain, launch_load, say, spread, wait_until
from processes import own_cpu_seconds

COST_MAX = 0.10
TIMES_FASTER_MIN = 100
OPTIONS = {"rounds": (int, 3, "of each way"), "before": (int, 300000, "records that came before, to be computed"),
           "records": (int, 1000000, "in each round where nothing is computed"),
           "devices": (int, 1, "with 1,440,000 readings in a day together"), "queries": (int, 9, "of each kind")}
READINGS = 1_440_000
# Of the node's maintenance: it rests for so many times as long as a turn took.
REST_FACTOR = 9
RECORDS_ENDLESS = 10**9
VIEWS = ("telemetry_1min", "telemetry_1hour", "telemetry_daily")

FROM_ROWS = """SELECT device_id, avg(temperature), avg(pressure) FROM telemetry
 WHERE timestamp >= timestamptz '2026-03-02 00:00Z' AND timestamp < timestamptz '2026-03-03 00:00Z' GROUP BY device_id"""
FROM_MINUTES = """SELECT device_id, sum(avg_temperature * sample_count) / sum(sample_count), sum(avg_pressure * sample_count) / sum(sample_count)
 FROM telemetry_1min WHERE bucket >= timestamptz '2026-03-02 00:00Z' AND bucket < timestamptz '2026-03-03 00:00Z' GROUP BY device_id"""


class Node:
    """A node for one round, which is told apart from others by its settings alone."""

    def __init__(self, run, cluster, **settings):
        self.node = run.node(cluster.url, **settings)

    def __enter__(self):
        return self.node

    def __exit__(self, *_):
        self.node.terminate()
        self.node.remove()


def backends(cluster, name):
    """Numbers of the processes that serve connections of this name, in SQL's patterns."""
    return [row[0] for row in cluster.query(f"SELECT pid FROM pg_stat_activity WHERE application_name LIKE '{name}'")]


def compute(cluster):
    """Computes all that is told; how many seconds it took."""
    begin = time.monotonic()
    for view in VIEWS:
        while cluster.query(f"SELECT * FROM wellhead_refresh('{view}', true)"):
            pass
    return time.monotonic() - begin


def storing_seconds(cluster, node):
    return own_cpu_seconds(node.process.pid, *backends(cluster, "wellhead/shard-%"))


def empty(cluster):
    cluster.query(f"TRUNCATE telemetry, {', '.join(VIEWS)}, wellhead_invalidation, wellhead_invalidation_pending")


def without_computing(run, cluster, node):
    """Rows per second, and processor seconds of storing a million rows."""
    before = storing_seconds(cluster, node)
    value = committed_rate(node, run.options.records)
    return {"rate": value, "storing": (storing_seconds(cluster, node) - before) / run.options.records * 1e6}


def beside_computing(cluster, node):
    """The same over a turn that computes what came before and the rest after it, with the rate of the turn alone, its seconds, and
    processor seconds of computing a million rows."""
    begin = time.monotonic()
    load = launch_load(node, "ndjson", *MAXIMUM, "--count", RECORDS_ENDLESS)
    try:
        # One transaction each for the minutes, the hours and the day.
        wait_until(lambda: node.metric("wellhead_aggregate_transactions_total") >= len(VIEWS), "the aggregates are computed", 300)
        turn, rows_in_turn = time.monotonic() - begin, committed(node)
        computing = own_cpu_seconds(*backends(cluster, "wellhead maintenance"))
        computed = sum(int(cluster.value(f"SELECT sum(sample_count) FROM {view}")) for view in VIEWS) / len(VIEWS)
        wait_until(lambda: time.monotonic() - begin >= turn * (1 + REST_FACTOR), "the rest is over", 30 + turn * (1 + REST_FACTOR))
        rows, seconds, storing = committed(node), time.monotonic() - begin, storing_seconds(cluster, node)
    finally:
        load.kill()
        load.wait()
    return {"rate": rows / seconds, "rate_in_turn": rows_in_turn / turn, "seconds": turn, "storing": storing / rows * 1e6,
            "computing": computing / computed * 1e6}


def measure(run, cluster, way):
    """One round of one way."""
    empty(cluster)
    if way == "untold":
        cluster.query("ALTER TABLE wellhead_invalidation RENAME TO wellhead_invalidation_away")
    try:
        with Node(run, cluster, maintenance_enabled=False) as node:
            committed_rate(node, run.options.before)
            drain(node)
        cluster.query("VACUUM ANALYZE telemetry")
        cluster.query("CHECKPOINT")
        with Node(run, cluster, maintenance_enabled=way == "kept") as node:
            if way == "kept":
                return beside_computing(cluster, node)
            figures = without_computing(run, cluster, node)
            drain(node)
        return {**figures, "seconds": compute(cluster)} if way == "told" else figures
    finally:
        if way == "untold":
            cluster.query("ALTER TABLE wellhead_invalidation_away RENAME TO wellhead_invalidation")


def upkeep(run, cluster):
    with Node(run, cluster, maintenance_enabled=False):
        pass
    # What has just come is due as well: otherwise a run would have to last for a day before its rows are all computed.
    cluster.query("UPDATE wellhead_aggregate SET refresh_until = '-30 days'")
    rounds = {"untold": [], "told": [], "kept": []}
    for number in range(run.options.rounds):
        for way, values in rounds.items():
            values.append(measure(run, cluster, way))
            say(f"round {number + 1}/{run.options.rounds}  {way:<8} " + ", ".join(f"{name} {value:.2f}" for name, value in values[-1].items()))

    def all_of(name, *ways):
        return [figures[name] for way in ways for figures in rounds[way]]

    reference = statistics.median(all_of("rate", "untold"))
    cost = {way: round(1 - statistics.median(all_of("rate", way)) / reference, 4) for way in ("told", "kept")}
    run.target("share of the throughput that aggregates cost", cost["kept"], COST_MAX)
    rates = {way: spread(all_of("rate", way)) for way in rounds}
    return {"rows_per_second": {**rates, "kept, while computing": spread(all_of("rate_in_turn", "kept"))}, "cost": cost,
            "processor_seconds_per_million_rows": {"storing": spread(all_of("storing", *rounds)), "computing": spread(all_of("computing", "kept"))},
            "computing_seconds_per_million_rows": spread(
                [seconds / (run.options.before + run.options.records) * 1e6 for seconds in all_of("seconds", "told")])}


def seconds_of(cluster, query):
    """What the server says it took, without its answer's way here."""
    for line, in cluster.query("EXPLAIN (ANALYZE, TIMING off, COSTS off) " + query):
        if line.startswith("Execution Time:"):
            return float(line.split()[2]) / 1000
    raise AssertionError("the server did not tell the time")


def saving(run, cluster):
    empty(cluster)
    devices = run.options.devices
    cluster.query(
        "INSERT INTO telemetry (timestamp, device_id, temperature, vibration, pressure, flow_rate) "
        "SELECT timestamptz '2026-03-02 00:00Z' + n / {0} * interval '{1} microseconds', 'well-' || n % {0}, 60 + n % 17, 0.2, 1000 + n % 23, "
        "900 FROM generate_series(0, {2}) AS n".format(devices, 86_400_000_000 * devices // READINGS, READINGS - 1))
    cluster.query("INSERT INTO wellhead_invalidation VALUES ('telemetry', '2026-03-02 00:00Z', '2026-03-03 00:00Z')")
    while cluster.query("SELECT * FROM wellhead_refresh('telemetry_1min', true, '2026-04-01 00:00Z')"):
        pass
    cluster.query("VACUUM ANALYZE telemetry")
    cluster.query("VACUUM ANALYZE telemetry_1min")
    compare = [sorted((row[0], round(float(row[1]), 6), round(float(row[2]), 6)) for row in cluster.query(query)) for query in (FROM_ROWS, FROM_MINUTES)]
    if compare[0] != compare[1] or len(compare[0]) != devices:
        raise AssertionError(f"the two queries differ: {compare}")
    seconds = {"rows": [], "minutes": []}
    for _ in range(run.options.queries):
        seconds["rows"].append(seconds_of(cluster, FROM_ROWS))
        seconds["minutes"].append(seconds_of(cluster, FROM_MINUTES))
    times = statistics.median(seconds["rows"]) / statistics.median(seconds["minutes"])
    say(f"averages of a day: {statistics.median(seconds['rows']) * 1000:.1f} ms from rows, {statistics.median(seconds['minutes']) * 1000:.2f} ms from minutes")
    run.target("times faster from minutes than from rows", times, TIMES_FASTER_MIN, at_most=False)
    return {"milliseconds": {name: spread([1000 * value for value in values]) for name, values in seconds.items()},
            "rows": {"rows": READINGS, "minutes": int(cluster.value("SELECT count(*) FROM telemetry_1min"))}, "times_faster": round(times, 1)}


def main():
    with Run(__doc__, OPTIONS) as run:
        cluster = run.cluster()
        return run.finish({"upkeep": upkeep(run, cluster), "saving": saving(run, cluster)})


if __name__ == "__main__":
    sys.exit(main())
