"""What the journal costs: rows per second into the hypertable with it and without.

Records go by NDJSON as fast as they are answered, and the time ends when the last of them is committed. The ways take turns:
without a journal, where an acknowledgement means committed; the same with commits that do not wait for the database's disk, as
only a journal makes them safe; with the journal; and with it, acknowledging what is committed all the same. The journal is held
against the faster of those without.
"""

import statistics
import sys

from harness import Run, committed_rate, say, spread

COST_MAX = 0.15
WAYS = {
    "off": {"journal_enabled": False},
    "off_asynchronous_commits": {"journal_enabled": False, "database_synchronous_commit": "off"},
    "on": {"journal_enabled": True},
    "on_acknowledging_commits": {"journal_enabled": True, "ndjson_ack": "commit"},
}
OPTIONS = {"rounds": (int, 5, "of each way"), "records": (int, 1500000, "in each round")}


def main():
    with Run(__doc__, OPTIONS) as run:
        cluster = run.cluster()
        rates = {way: [] for way in WAYS}
        for number in range(run.options.rounds):
            for way, settings in WAYS.items():
                node = run.node(cluster.url, **settings)
                cluster.query("TRUNCATE telemetry")
                rates[way].append(committed_rate(node, run.options.records))
                node.terminate()
                node.remove()
                say(f"round {number + 1}/{run.options.rounds}  {way:<25}  {rates[way][-1]:9.0f} rows/s")
        medians = {way: statistics.median(values) for way, values in rates.items()}
        reference = max(medians["off"], medians["off_asynchronous_commits"])
        cost = {way: round(1 - medians[way] / reference, 4) for way in ("on", "on_acknowledging_commits")}
        run.target("share of the throughput that the journal costs", cost["on"], COST_MAX)
        return run.finish({"rows_per_second": {way: spread(values) for way, values in rates.items()}, "cost": cost})


if __name__ == "__main__":
    sys.exit(main())
