"""All figures of the node side by side, from one run: a bulk load, the node end to end, latency under load, what people run instead,
and the stages inside.

The bound is psql's \\copy of the same rows from a binary file, in the order in which they arrive, into the same table with its indexes and
constraints, on the same server. All measurements take turns, round after round; ratios are of the same round. The medians are told,
with the least and the most of all rounds.
"""

import json
import pathlib
import sys

import gated
import summary
from facts import Facts
from harness import Run, say
from inside import measure_micro
from latency import Latencies
from page import write_page
from peers import HandWrittenService
from plan import all_peers, full_plan, node_name, run_round
from stage import Stage
from terminal import print_report

ROWS, ROWS_QUICK = 1_000_000, 250_000
ROUNDS, ROUNDS_QUICK = 4, 1
LATENCY_ROUNDS, LATENCY_SECONDS, LATENCY_SECONDS_QUICK = 4, 5.0, 2.0
OPTIONS = {
    "rounds": (int, None, f"of every measurement ({ROUNDS}, with --quick {ROUNDS_QUICK})"),
    "rows": (int, None, f"of a load; fewer where a load is slow ({ROWS}, with --quick {ROWS_QUICK})"),
    "gate": (bool, False, "measure only what a change must not make slower, and fail if it is; within 10 minutes"),
    "quick": (bool, False, "fewer rounds and rows: a look, no proof"),
    "html": (pathlib.Path, None, "write the report as a page with charts, which needs nothing else, as well"),
}


def measure_latency(stage, rounds, peers, quick, latency_rounds):
    """At shares of the median throughput with the same batches, and at the highest rates of the services written by hand."""
    maximum = summary.told(rounds, node_name("ndjson", "journal", 100))["rows_per_second"]
    services = [(peer.name, summary.told(rounds, peer.name)["rows_per_second"], peer.batch, peer.connections)
                for peer in peers if isinstance(peer, HandWrittenService)]
    latencies = Latencies(stage, maximum, services, LATENCY_SECONDS_QUICK if quick else LATENCY_SECONDS)
    for number in range(latency_rounds):
        say(f"latency, round {number + 1}/{latency_rounds}")
        latencies.run_round()
    return latencies.told()


def measure(run, facts):
    options = run.options
    count = options.rounds or (ROUNDS_QUICK if options.quick else ROUNDS)
    stage = Stage(run, options.rows or (ROWS_QUICK if options.quick else ROWS))
    peers, absent = all_peers()
    measurements = full_plan(stage, peers)
    rounds = [run_round(measurements, f"round {number + 1}/{count}") for number in range(count)]
    latency = measure_latency(stage, rounds, peers, options.quick, min(count, LATENCY_ROUNDS))
    micro = measure_micro(options.quick)
    return {**summary.summarize(measurements, rounds, peers, absent, micro, latency),
            "command": "./dev bench" + "".join(f" {argument}" for argument in sys.argv[1:]), "rounds_count": count, "rows": stage.rows,
            "machine": facts.machine(stage.folder), "versions": facts.versions(), "database": stage.settings()}


def main():
    with Run(__doc__, OPTIONS) as run:
        facts = Facts()
        if not facts.quiet():
            say(f"WARNING: others take {100 * facts.busy_before:.0f} % of the processors; the figures will be noisy, and tell little of this machine alone")
        if run.options.gate:
            return gated.run_gates(run)
        report = measure(run, facts)
        print_report(report)
        if run.options.json is not None:
            run.options.json.write_text(json.dumps(report, indent=1) + "\n")
        if run.options.html is not None:
            write_page(report, run.options.html)
        return 0 if all(target["met"] is not False for target in report["targets"]) else 1


if __name__ == "__main__":
    sys.exit(main())
