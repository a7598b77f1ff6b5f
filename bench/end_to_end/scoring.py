"""What scoring costs a shard: processor time a row, with every reading judged and without.

Records go by NDJSON as fast as they are answered, and the time ends when the last of them is committed. Nodes with scoring and
without take turns. The target is the shard's processor time, which is its thread's: scoring is to add at most 15 % to it. It adds
more, since the thread does little else with a row (docs/scoring.md), and the run says so and fails. A row's way through a shard is
also the database session the thread drives; the share of both together is told beside the target and does not take its place.
"""

import statistics
import sys

from harness import Run, committed_rate, say, spread
from processes import CpuMeter, thread_cpu_seconds

COST_MAX = 0.15
WARM_UP_ROWS = 200_000
OPTIONS = {"rounds": (int, 5, "of each way"), "records": (int, 1500000, "in each round")}


def measure(run, cluster, database_pid, scores):
    """Nanoseconds a row of the shards' threads and of the database."""
    cluster.query("TRUNCATE telemetry, wellhead_device_baselines")
    cluster.query("CHECKPOINT")
    node = run.node(cluster.url, scoring_enabled=scores, maintenance_enabled=False)
    committed_rate(node, WARM_UP_ROWS)
    thread, meter = thread_cpu_seconds(node.process.pid, "shard-"), CpuMeter(database=database_pid)
    committed_rate(node, run.options.records)
    spent = thread_cpu_seconds(node.process.pid, "shard-") - thread, meter.spent()["database"]
    node.terminate()
    node.remove()
    return tuple(seconds / run.options.records * 1e9 for seconds in spent)


def main():
    with Run(__doc__, OPTIONS) as run:
        cluster = run.cluster()
        database_pid = int(cluster.call("pid"))
        ways = {"scored": True, "unscored": False}
        threads, databases = {way: [] for way in ways}, {way: [] for way in ways}
        run.node(cluster.url).terminate()  # makes the tables
        for number in range(run.options.rounds):
            for way, scores in ways.items():
                thread, database = measure(run, cluster, database_pid, scores)
                threads[way].append(thread)
                databases[way].append(database)
                say(f"round {number + 1}/{run.options.rounds}  {way:<9} {thread:6.0f} ns a row in the shard's thread, {database:6.0f} in the database")
        unscored = statistics.median(threads["unscored"])
        cost = statistics.median(threads["scored"]) - unscored
        of_both = cost / (unscored + statistics.median(databases["unscored"]))
        run.target("share of the processor time of a row in its shard's thread that scoring adds", cost / unscored, COST_MAX)
        # Always the smaller of the two, so the exit code is that of the target.
        run.target("beside it: the same of the thread and its database session together", of_both, COST_MAX)
        return run.finish({"shard_nanoseconds_per_row": {way: spread(values) for way, values in threads.items()},
                           "database_nanoseconds_per_row": {way: spread(values) for way, values in databases.items()},
                           "added_nanoseconds_per_row": round(cost, 1), "share_of_thread": round(cost / unscored, 3),
                           "share_of_thread_and_session": round(of_both, 3)})


if __name__ == "__main__":
    sys.exit(main())
