"""What is measured in each round of a comparison, by name.

A measurement is a function that runs once a round and returns its figures: `rows_per_second`, `cpu_s_per_million` by process, and where
they make sense `ack_us` and `memory_mib`. All measurements of a round follow each other, so that what changes on the machine in the
meantime meets all of them, and figures are compared within a round.
"""

import functools
import subprocess

from drive import drive_connections, drive_node, drive_null_sink, load_options
from harness import say
from peers import HandWrittenService, MultiRowInsert, OriginalDesign
from tools import tools

PROTOCOLS = ("ndjson", "http")
ACKS = ("journal", "commit")
BATCHES = (1, 100, 1000)
# Single records are slow, and the time is better spent on what is quick.
SINGLE_RECORDS_SHARE = 0.05
NULL_SINK_TIMES = 4
# Connections and synchronous_commit of the bound's sessions.
BOUNDS = ((1, "on"), (2, "on"), (1, "off"))
CONNECTIONS = (10, 10_000)
CONNECTIONS_BATCH, CONNECTIONS_BATCH_LARGE = 10, 100
# Of any size, on their way together: with the large ones 1,000,000 records, so that there have to be some times as many rows.
CONNECTIONS_BATCHES_OUTSTANDING = 10_000
CONNECTIONS_ROWS_TIMES = {CONNECTIONS_BATCH: 1, CONNECTIONS_BATCH_LARGE: 3}
NULL_SINK_BATCH = 1000
FAILED = "failed"  # begins why a program was not measured that is here


class Measurement:
    """`group` is bound, node, peer, null_sink or connections; `settings` says in words what is done. One that is `foreign` runs a program
    that is not ours, and whatever version there is."""

    def __init__(self, name, group, settings, run, foreign=False):
        self.name, self.group, self.settings, self.run, self.foreign = name, group, settings, run, foreign


def node_name(protocol, ack, batch):
    return f"{protocol} {ack} {batch}"


def bound_name(connections, synchronous_commit="on"):
    return f"copy {connections}" + ("" if synchronous_commit == "on" else " asynchronous")


def connections_name(connections, batch=CONNECTIONS_BATCH):
    return f"connections {connections}" + ("" if batch == CONNECTIONS_BATCH else f" of {batch}")


def bound(stage, connections, synchronous_commit):
    stage.fresh()
    seconds = stage.load(connections, synchronous_commit)
    stage.check_rows(stage.rows)
    return {"rows": stage.rows, "seconds": seconds, "rows_per_second": stage.rows / seconds}


def bound_measurements(stage):
    return [Measurement(bound_name(connections, synchronous_commit), "bound",
                        f"psql \\copy telemetry from a binary file (format binary), rows in the order of arrival, {connections} connection"
                        + ("" if connections == 1 else "s, each a half in slices of 1,000 rows") + f", synchronous_commit = {synchronous_commit}",
                        functools.partial(bound, stage, connections, synchronous_commit)) for connections, synchronous_commit in BOUNDS]


def option_words(options):
    return "wellhead-loadgen " + " ".join(map(str, options))


def node_measurement(stage, protocol, ack, batch):
    rows = int(stage.rows * SINGLE_RECORDS_SHARE) if batch == 1 else stage.rows
    return Measurement(node_name(protocol, ack, batch), "node",
                       f"{protocol}, acknowledged at {ack}, until committed: {option_words(load_options(protocol, batch))} --count {rows} --verify",
                       functools.partial(drive_node, stage, protocol, ack, batch, rows))


def peer_measurements(stage, peers):
    return [Measurement(peer.name, "peer", peer.settings, functools.partial(peer.measure, stage, int(stage.rows * getattr(peer, "share_of_rows", 1))),
                        foreign=getattr(peer, "foreign", False)) for peer in peers]


def null_sink_measurement(stage):
    rows = stage.rows * NULL_SINK_TIMES
    return Measurement("null_sink", "null_sink", f"ndjson, sink.kind = null, 1 reactor: {option_words(load_options('ndjson', NULL_SINK_BATCH))} --count {rows}",
                       functools.partial(drive_null_sink, "ndjson", NULL_SINK_BATCH, rows))


def connections_measurements(stage):
    return [Measurement(connections_name(connections, batch), "connections",
                        f"ndjson, acknowledged at commit, batches of {batch}, {connections} connections with {CONNECTIONS_BATCHES_OUTSTANDING:,} batches on "
                        f"their way together: {CONNECTIONS_BATCHES_OUTSTANDING * batch:,} records",
                        functools.partial(drive_connections, stage, connections, stage.rows * times, batch, CONNECTIONS_BATCHES_OUTSTANDING))
            for batch, times in CONNECTIONS_ROWS_TIMES.items() for connections in CONNECTIONS]


def all_peers():
    """Those that can be measured here, and why the others cannot, by name."""
    present, absent = [], {}
    for peer in (OriginalDesign(), MultiRowInsert(), HandWrittenService(100), HandWrittenService(1000), *tools()):
        reason = peer.absence()
        if reason is None:
            present.append(peer)
        else:
            absent[peer.name] = reason
            say(f"not measured: {peer.name}, {reason}")
    return present, absent


ALL_CASES = tuple((protocol, ack, batch) for batch in reversed(BATCHES) for ack in ACKS for protocol in PROTOCOLS)


def full_plan(stage, peers, cases=ALL_CASES):
    """Everything, and of the node's ways `cases`."""
    nodes = [node_measurement(stage, *case) for case in cases]
    return [*bound_measurements(stage), *nodes, *peer_measurements(stage, peers), null_sink_measurement(stage), *connections_measurements(stage)]


def run_round(measurements, words, failures=None):
    """Runs each once, and returns their figures by name; `words` tell which round it is. Foreign programs that fail are noted in
    `failures`, by name, and not tried again; whatever else fails ends the run."""
    measured = {}
    for measurement in measurements:
        if failures and measurement.name in failures:
            continue
        try:
            measured[measurement.name] = figures = measurement.run()
        except (AssertionError, OSError, subprocess.SubprocessError) as error:
            if failures is None or not measurement.foreign:
                raise
            failures[measurement.name] = f"{FAILED}: {error}"
            say(f"not measured: {measurement.name}, {failures[measurement.name]}")
            continue
        say(f"{words}  {measurement.group:<11} {measurement.name:<20} {figures['rows_per_second']:>11,.0f} rows/s")
    return measured
