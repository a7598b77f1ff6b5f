"""All figures of the node side by side, from one run: a bulk load, the node end to end, latency under load, what people run instead,
and the stages inside.

The bound is psql's \\copy of the same rows from a binary file, in the order in which they arrive, into the same table with its indexes and
constraints, on the same server. All measurements take turns, round after round; ratios are of the same round. The medians are told,
with the least and the most of all rounds.
"""

import json
import pathlib
import sys

import summary
from facts import Facts
from harness import BIN_DIR, Run, say
from latency import Latencies
from page import write_page
from peers import HandWrittenService
from plan import all_peers, full_plan, node_name, run_rounds
from stage import Stage
from terminal import print_report

ROWS, ROWS_QUICK = 1_000_000, 250_000
ROUNDS, ROUNDS_QUICK = 4, 1
LATENCY_ROUNDS, LATENCY_SECONDS, LATENCY_SECONDS_QUICK = 4, 5.0, 2.0
OPTIONS = {
    "rounds": (int, None, f"of every measurement ({ROUNDS}, with --quick {ROUNDS_QUICK})"),
    "rows": (int, None, f"of a load; fewer where a load is slow ({ROWS}, with --quick {ROWS_QUICK})"),
    "quick": (bool, False, "fewer rounds and rows: a look, no proof"),
    "html": (pathlib.Path, None, "write the report as a page with charts, which needs nothing else, as well"),
}


def measure_micro(quick):
    """The stages inside, by the micro-benchmarks; None, and said, where there are none."""
    try:
        import micro
    except ModuleNotFoundError:
        say("NOT MEASURED: the codec and the other stages, there are no micro-benchmarks of them")
        return None
    say("measuring the stages inside")
    return micro.run(BIN_DIR, quick)


def measure_latency(stage, results, peers, quick, rounds):
    """At shares of the median throughput with the same batches, and at the highest rates of the services written by hand."""
    maximum = summary.told(results, node_name("ndjson", "journal", 100))["rows_per_second"]
    services = [(peer.name, summary.told(results, peer.name)["rows_per_second"], peer.batch, peer.connections)
                for peer in peers if isinstance(peer, HandWrittenService)]
    latencies = Latencies(stage, maximum, services, LATENCY_SECONDS_QUICK if quick else LATENCY_SECONDS)
    for number in range(rounds):
        say(f"latency, round {number + 1}/{rounds}")
        latencies.run_round()
    return latencies.told()


def measure(run, facts):
    options = run.options
    rounds = options.rounds or (ROUNDS_QUICK if options.quick else ROUNDS)
    stage = Stage(run, options.rows or (ROWS_QUICK if options.quick else ROWS))
    peers, absent = all_peers()
    measurements = full_plan(stage, peers)
    results = run_rounds(measurements, rounds)
    latency = measure_latency(stage, results, peers, options.quick, min(rounds, LATENCY_ROUNDS))
    micro = measure_micro(options.quick)
    return {**summary.summarize(measurements, results, peers, absent, micro, latency),
            "command": "./dev bench" + "".join(f" {argument}" for argument in sys.argv[1:]), "rounds_count": rounds, "rows": stage.rows,
            "machine": facts.machine(stage.folder), "versions": facts.versions(), "database": stage.settings()}


def main():
    with Run(__doc__, OPTIONS) as run:
        facts = Facts()
        if not facts.quiet():
            say(f"WARNING: others take {100 * facts.busy_before:.0f} % of the processors; the figures will be noisy, and tell little of this machine alone")
        report = measure(run, facts)
        print_report(report)
        if run.options.json is not None:
            run.options.json.write_text(json.dumps(report, indent=1) + "\n")
        if run.options.html is not None:
            write_page(report, run.options.html)
        return 0 if all(target["met"] is not False for target in report["targets"]) else 1


if __name__ == "__main__":
    sys.exit(main())
