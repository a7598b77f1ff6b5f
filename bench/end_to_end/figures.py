"""What comes of the rounds of a comparison: figures by name, each with its value in every round that has what it is made of.

A round is the measurements' figures by their name. A ratio is one of two measurements of the same round: what changes on the machine from
round to round meets both.
"""

import dataclasses
import typing

from harness import spread
from peers import service_name
from plan import CONNECTIONS, PROTOCOLS, bound_name, connections_name, node_name

BATCHES = (1000, 100)
HEADLINES = tuple(node_name(protocol, "journal", batch) for batch in BATCHES for protocol in PROTOCOLS)


def series(rounds, name):
    return [measured[name] for measured in rounds if name in measured]


def rate(figures):
    return figures["rows_per_second"]


def rates(rounds, name):
    return [rate(figures) for figures in series(rounds, name)]


def cpu(figures, *processes):
    return sum(figures["cpu_s_per_million"][process] for process in processes)


def to_bound(rounds, name):
    return [rate(measured[name]) / rate(measured[bound_name(1)]) for measured in rounds if name in measured and bound_name(1) in measured]


@dataclasses.dataclass(frozen=True)
class Figure:
    """`of` makes its value from the figures of the measurements it `needs`, in that order."""

    name: str
    needs: tuple
    of: typing.Callable

    def values(self, rounds):
        return [self.of(*(measured[name] for name in self.needs)) for measured in rounds if all(name in measured for name in self.needs)]


def ratio_of_rates(name, measured, reference):
    return Figure(name, (measured, reference), lambda one, other: rate(one) / rate(other))


def to_original_design(node, original):
    return cpu(node, "node", "database") / cpu(original, "service", "database")


def all_figures():
    for batch in BATCHES:
        for protocol in PROTOCOLS:
            name = node_name(protocol, "journal", batch)
            yield ratio_of_rates(f"{protocol}, batches of {batch} / bound", name, bound_name(1))
            yield Figure(f"{protocol}, batches of {batch}: node's CPU seconds per million rows", (name,), lambda node: cpu(node, "node"))
        yield ratio_of_rates(f"http, batches of {batch} / hand-written service", node_name("http", "journal", batch), service_name(batch))
    yield Figure("CPU per row of node and database / original design", (node_name("ndjson", "journal", 1000), "original_design"), to_original_design)
    yield Figure("null sink, records per second and reactor", ("null_sink",), rate)
    yield Figure("null sink: node's CPU seconds per million records", ("null_sink",), lambda node: cpu(node, "node"))
    yield ratio_of_rates("10,000 connections / 10", connections_name(CONNECTIONS[1]), connections_name(CONNECTIONS[0]))
    yield Figure("memory under full load, MiB", HEADLINES, lambda *nodes: max(node["memory_mib"] for node in nodes))


FIGURES = {figure.name: figure for figure in all_figures()}


def from_rounds(rounds):
    """Those that rounds give, as far as they were measured."""
    values = {name: figure.values(rounds) for name, figure in FIGURES.items()}
    return {name: of_rounds for name, of_rounds in values.items() if of_rounds}


def acknowledge_to_services(rounds, latency):
    """The node's p99 at the highest rate a hand-written service reaches, to that service's there: one value for all rounds."""
    figures = {}
    for level in latency["at_service_rate"]:
        own = dict(map(tuple, level["points"])).get(99)
        theirs = spread([measured["ack_us"]["p99"] for measured in series(rounds, level["service"])])["median"]
        if own is not None:
            figures[f"acknowledge p99 at the maximum of the hand-written service, batches of {level['batch']} / its own"] = [own / theirs]
    return figures


CODEC_FIGURES = {"codec / simdjson reading all fields": "ratio_to_simdjson", "codec, records per second and core": "records_per_second"}


def from_micro(runs):
    """Those that micro-benchmarks give; each run is a round."""
    return {name: [run["codec"][key] for run in runs] for name, key in CODEC_FIGURES.items() if runs}


def memory_mib(rounds):
    """The most that a node had in any measurement."""
    return max(figures["memory_mib"] for measured in rounds for figures in measured.values() if "memory_mib" in figures)
