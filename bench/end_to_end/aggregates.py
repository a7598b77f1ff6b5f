"""What the aggregates cost that the node keeps, and what they save.

Upkeep: rows per second into the hypertable beside the computing of as many rows that came before, which is what a node does that
has been running for long, against the same where nothing is told of what was written and nothing is computed. As many rows are
told of and not computed in between, to see which of the two costs. Records go by NDJSON as fast as they are answered, and the time
ends when the last of them is committed; the ways take turns. Told as well is how long computing takes with nothing beside it, and,
which depends least on what else the machine does, the processor time of each: of the node and the backends that store its rows, and
of the backend that computes, for a million rows each.

Saving: the average of each device over 24 hours from telemetry_1min, against the same from the rows.
"""

import os
import pathlib
import statistics
import sys
import time

from harness import Run, committed_rate, drain, say, spread, wait_until

COST_MAX = 0.10
TIMES_FASTER_MIN = 100
OPTIONS = {"rounds": (int, 3, "of each way"), "records": (int, 1500000, "in each round, after as many that came before"),
           "devices": (int, 1, "with 1,440,000 readings in a day together"), "queries": (int, 9, "of each kind")}
READINGS = 1_440_000

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


def processor_seconds(*processes):
    """What these have used, by their numbers, their children left out."""
    ticks = 0
    for number in processes:
        # Behind the name, which may have spaces in it.
        fields = pathlib.Path("/proc", str(number), "stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def backends(cluster, name):
    """Numbers of the processes that serve connections of this name, in SQL's patterns."""
    return [row[0] for row in cluster.query(f"SELECT pid FROM pg_stat_activity WHERE application_name LIKE '{name}'")]


def compute(cluster):
    """Computes all that is told; how many seconds it took."""
    begin = time.monotonic()
    for view in ("telemetry_1min", "telemetry_1hour", "telemetry_daily"):
        while cluster.query(f"SELECT * FROM wellhead_refresh('{view}', true)"):
            pass
    return time.monotonic() - begin


def storing_seconds(cluster, node):
    return processor_seconds(node.process.pid, *backends(cluster, "wellhead/shard-%"))


def rate(run, cluster, way):
    """Rows per second; for how many seconds aggregates were computed beside, or after it; processor seconds of storing and of computing
    a million rows, the latter None where the node does not."""
    cluster.query("TRUNCATE telemetry, telemetry_1min, telemetry_1hour, telemetry_daily, wellhead_invalidation, wellhead_invalidation_pending")
    if way == "untold":
        cluster.query("ALTER TABLE wellhead_invalidation RENAME TO wellhead_invalidation_away")
    try:
        with Node(run, cluster, maintenance_enabled=False) as node:
            committed_rate(node, run.options.records)
            drain(node)
        cluster.query("VACUUM ANALYZE telemetry")
        cluster.query("CHECKPOINT")
        with Node(run, cluster, maintenance_enabled=way == "kept") as node:
            begin = time.monotonic()
            before = storing_seconds(cluster, node)
            value = committed_rate(node, run.options.records)
            storing = (storing_seconds(cluster, node) - before) / run.options.records * 1e6
            if way == "untold":
                return value, 0, storing, None
            if way == "told":
                drain(node)
                return value, compute(cluster), storing, None
            # One transaction each for the minutes, the hours and the day of what came before.
            wait_until(lambda: node.metric("wellhead_aggregate_transactions_total") >= 3, "the aggregates are computed", 300)
            seconds = time.monotonic() - begin
            computing = processor_seconds(*backends(cluster, "wellhead maintenance"))
            return value, seconds, storing, computing / int(cluster.value("SELECT sum(sample_count) FROM telemetry_1min")) * 1e6
    finally:
        if way == "untold":
            cluster.query("ALTER TABLE wellhead_invalidation_away RENAME TO wellhead_invalidation")


def upkeep(run, cluster):
    with Node(run, cluster, maintenance_enabled=False):
        pass
    # What has just come is due as well: otherwise a run would have to last for a day before its rows are all computed.
    cluster.query("UPDATE wellhead_aggregate SET refresh_until = '-30 days'")
    rates = {"untold": [], "told": [], "kept": []}
    computing = {way: [] for way in rates}
    processor = {"storing": [], "computing": []}
    for number in range(run.options.rounds):
        for way, values in rates.items():
            value, seconds, storing, kept = rate(run, cluster, way)
            values.append(value)
            computing[way].append(seconds)
            processor["storing"].append(storing)
            if kept is not None:
                processor["computing"].append(kept)
            say(f"round {number + 1}/{run.options.rounds}  {way:<8} {value:9.0f} rows/s, computed within {seconds:.1f} s; "
                f"processor seconds for a million rows: storing {storing:.2f}" + ("" if kept is None else f", computing {kept:.2f}"))
    reference = statistics.median(rates["untold"])
    cost = {way: round(1 - statistics.median(rates[way]) / reference, 4) for way in ("told", "kept")}
    run.target("share of the throughput that aggregates cost", cost["kept"], COST_MAX)
    return {"rows_per_second": {way: spread(values) for way, values in rates.items()}, "cost": cost,
            "processor_seconds_per_million_rows": {name: spread(values) for name, values in processor.items()},
            "computing_seconds_per_million_rows": spread([seconds / (2 * run.options.records) * 1e6 for seconds in computing["told"]])}


def seconds_of(cluster, query):
    """What the server says it took, without its answer's way here."""
    for line, in cluster.query("EXPLAIN (ANALYZE, TIMING off, COSTS off) " + query):
        if line.startswith("Execution Time:"):
            return float(line.split()[2]) / 1000
    raise AssertionError("the server did not tell the time")


def saving(run, cluster):
    cluster.query("TRUNCATE telemetry, telemetry_1min, telemetry_1hour, telemetry_daily, wellhead_invalidation, wellhead_invalidation_pending")
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
