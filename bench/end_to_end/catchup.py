"""How fast the node catches up after an outage of the database, against how fast it takes live records.

Live: records by NDJSON as fast as they are answered, until the last is committed. Catch-up: the database stops, as many are
taken into the journal, the database starts again, and rows are counted from the first commit until no more are waiting than
come in, while live records go on at a low rate. The two take turns.
"""

import statistics
import sys
import time

from harness import MAXIMUM, LOAD_SECONDS_MAX, Run, committed, committed_rate, drain, launch_load, say, send, spread

SAMPLE_SECONDS = 0.05
# Records of the low rate that may wait when the backlog counts as gone: what comes in within so many seconds.
CAUGHT_UP_SECONDS = 0.5
OPTIONS = {
    "rounds": (int, 3, "of each"),
    "records": (int, 1500000, "taken while the database is away, and sent live"),
    "rate": (float, 1000, "live records per second during the catch-up"),
}


def outage(cluster, node, records):
    """Stops the database and fills the journal."""
    cluster.stop()
    report = send(node, "ndjson", *MAXIMUM, "--count", records)
    if report["acknowledged"] != records:
        raise AssertionError(f"{report['acknowledged']} of {records} records were acknowledged without the database")


def catch_up(cluster, node, rate):
    """Starts the database; rows per second until the backlog is gone, and how many seconds it took until the first was committed."""
    load = launch_load(node, "ndjson", "--rate", rate, "--batch", 100, "--until-stopped")
    try:
        before = committed(node)
        cluster.start()
        started = time.monotonic()
        begin, end, rows = until_caught_up(node, before, rate * CAUGHT_UP_SECONDS)
        return rows / (end - begin), begin - started
    finally:
        load.terminate()
        load.wait()


def until_caught_up(node, before, queued_max):
    """When the first row was committed, when no more than `queued_max` waited, and how many were committed in between."""
    begin = time.monotonic()
    deadline = begin + LOAD_SECONDS_MAX
    while time.monotonic() < deadline:
        now, rows = time.monotonic(), committed(node) - before
        if rows == 0:
            begin = now
        elif node.metric("wellhead_records_queued") <= queued_max:
            return begin, now, rows
        time.sleep(SAMPLE_SECONDS)
    raise AssertionError(f"not caught up within {LOAD_SECONDS_MAX} s; the node's log says:\n{node.log()}")


def main():
    with Run(__doc__, OPTIONS) as run:
        options = run.options
        cluster = run.cluster()
        node = run.node(cluster.url)
        live, caught_up, resumed = [], [], []
        for number in range(options.rounds):
            cluster.query("TRUNCATE telemetry")
            live.append(committed_rate(node, options.records))
            cluster.query("TRUNCATE telemetry")
            outage(cluster, node, options.records)
            rows_per_second, seconds = catch_up(cluster, node, options.rate)
            caught_up.append(rows_per_second)
            resumed.append(seconds)
            drain(node)
            say(f"round {number + 1}/{options.rounds}  live {live[-1]:9.0f} rows/s  catch-up {caught_up[-1]:9.0f} rows/s, "
                f"begun {seconds:.1f} s after the database was there")
        node.terminate()
        run.target("catch-up / live", statistics.median(caught_up) / statistics.median(live), 1, at_most=False)
        return run.finish({"live_rows_per_second": spread(live), "catch_up_rows_per_second": spread(caught_up),
                           "resumed_seconds": spread(resumed), "records": options.records})


if __name__ == "__main__":
    sys.exit(main())
