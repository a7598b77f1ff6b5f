"""All figures of the node side by side, from one run: a bulk load, the node end to end, latency under load, what people run instead,
and the stages inside.

The bound is psql's \\copy of the same rows from a binary file, in the order in which they arrive, into the same table with its indexes and
constraints, on the same server. All measurements take turns, round after round; ratios are of the same round. The medians are told,
with the least and the most of all rounds.
"""

import dataclasses
import json
import pathlib
import resource
import sys

import gated
import summary
from facts import Facts
from harness import Run, say
from inside import measure_codec, measure_stages
from latency import Latencies
from page import write_page
from peers import HandWrittenService
from plan import ALL_CASES, all_peers, full_plan, node_name, run_round
from stage import Stage
from terminal import print_report


@dataclasses.dataclass(frozen=True)
class Scope:
    """How much is measured: rounds of everything, rows of a load, seconds of a level of latency in a round, the node's ways, and
    whether all stages inside or the codec alone."""

    rounds: int
    rows: int
    latency_seconds: float
    cases: tuple = ALL_CASES
    stages: bool = True


FULL = Scope(rounds=4, rows=1_000_000, latency_seconds=4.0)
QUICK = Scope(rounds=1, rows=250_000, latency_seconds=1.5)
OPTIONS = {
    "rounds": (int, None, f"of every measurement ({FULL.rounds}, with --quick {QUICK.rounds}, with --gate {gated.ROUNDS})"),
    "rows": (int, None, f"of a load; fewer where a load is slow ({FULL.rows}, with --quick {QUICK.rows}, with --gate {gated.ROWS})"),
    "quick": (bool, False, "fewer rounds and rows: a look, no proof"),
    "gate": (bool, False, "measure only what a change must not make slower, and fail if it is; within 10 minutes"),
    "html": (pathlib.Path, None, "write the report as a page with charts, which needs nothing else, as well"),
}


def scope_of(options):
    scope = QUICK if options.quick else FULL
    return dataclasses.replace(scope, rounds=options.rounds or scope.rounds, rows=options.rows or scope.rows)


def measure_latency(stage, rounds, peers, scope):
    """At shares of the median throughput with the same batches, and at the highest rates of the services written by hand."""
    maximum = summary.told(rounds, node_name("ndjson", "journal", 100))["rows_per_second"]
    services = [(peer.name, summary.told(rounds, peer.name)["rows_per_second"], peer.batch, option_value(peer.load_options, "--connections"))
                for peer in peers if isinstance(peer, HandWrittenService)]
    latencies = Latencies(stage, maximum, services, scope.latency_seconds)
    for number in range(scope.rounds):
        say(f"latency, round {number + 1}/{scope.rounds}")
        latencies.run_round()
    return latencies.told()


def measure(run, scope):
    """The report."""
    facts = Facts()
    if not facts.quiet():
        say(f"WARNING: others take {100 * facts.busy_before:.0f} % of the processors; the figures will be noisy, and tell little of this machine alone")
    stage = Stage(run, scope.rows)
    peers, absent = all_peers()
    measurements = full_plan(stage, peers, scope.cases)
    failures = {}
    rounds = [run_round(measurements, f"round {number + 1}/{scope.rounds}", failures) for number in range(scope.rounds)]
    measurements = [one for one in measurements if one.name not in failures]
    peers, absent = [one for one in peers if one.name not in failures], {**absent, **failures}
    latency = measure_latency(stage, rounds, peers, scope)
    micro = measure_stages(quick=scope.rounds <= QUICK.rounds) if scope.stages else measure_codec()
    return {**summary.summarize(measurements, rounds, peers, absent, micro, latency),
            "command": "./dev bench" + "".join(f" {argument}" for argument in sys.argv[1:]), "rounds_count": scope.rounds, "rows": scope.rows,
            "machine": facts.machine(stage.folder), "versions": facts.versions(), "database": stage.settings(),
            "node_settings": stage.node_settings}


def option_value(options, name):
    return options[options.index(name) + 1]


def exit_code(report, quick):
    """1 when a target is missed, or was not measured though all it needs is here. A quick look may leave some unmeasured."""
    missing = [target for target in report["targets"] if target["met"] is None]
    for target in missing:
        say(f"NOT MEASURED: {target['name']}: {target['not_measured']}")
    excused = quick or all(target["needs_what_is_not_installed"] for target in missing)
    if not excused:
        say("Targets that nobody measured are no proof of anything: this run fails.")
    return 0 if excused and all(target["met"] is not False for target in report["targets"]) else 1


def allow_connections():
    """As many open files as we may have, for us and all we start: ten thousand connections need them."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def main():
    with Run(__doc__, OPTIONS) as run:
        allow_connections()
        if run.options.gate:
            return gated.run_gates(run)
        report = measure(run, scope_of(run.options))
        print_report(report)
        if run.options.json is not None:
            run.options.json.write_text(json.dumps(report, indent=1) + "\n")
        if run.options.html is not None:
            write_page(report, run.options.html)
        return exit_code(report, run.options.quick)


if __name__ == "__main__":
    sys.exit(main())
