"""What comes of the rounds of a comparison: figures by name, each with its value in every round that has what it is made of.

A round is the measurements' figures by their name. A ratio is one of two measurements of the same round: what changes on the machine from
round to round meets both. Gates, which look for the best, take the best of either over the rounds that have both (gate.py).
"""

import dataclasses
import typing

from harness import spread
from peers import service_name
from gate import Parts
from plan import ACKS, CONNECTIONS, CONNECTIONS_BATCH, CONNECTIONS_BATCH_LARGE, PROTOCOLS, bound_name, connections_name, node_name

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


def nothing(*_):
    """In place of a reference."""
    return 1.0


@dataclasses.dataclass(frozen=True)
class Figure:
    """`of` makes its value from the figures of the measurements it `needs`, in that order; of a ratio `of` is above, `to` below."""

    name: str
    needs: tuple
    of: typing.Callable
    to: typing.Callable = nothing

    def parts(self, rounds):
        needed = [[measured[name] for name in self.needs] for measured in rounds if all(name in measured for name in self.needs)]
        return [Parts(self.of(*figures), self.to(*figures)) for figures in needed]

    def values(self, rounds):
        return [parts.value for parts in self.parts(rounds)]


def ratio_of_rates(name, measured, *references):
    """To the fastest of the references."""
    return Figure(name, (measured, *references), lambda one, *others: rate(one), lambda one, *others: max(map(rate, others)))


def to_bound(rounds, name):
    """The bound that targets are about: one connection."""
    return ratio_of_rates("", name, bound_name(1)).values(rounds)


def to_faster_bound(rounds, name):
    """The faster of one connection and two in the same round."""
    return ratio_of_rates("", name, bound_name(1), bound_name(2)).values(rounds)


def all_figures():
    for batch in BATCHES:
        for protocol in PROTOCOLS:
            name = node_name(protocol, "journal", batch)
            yield ratio_of_rates(f"{protocol}, batches of {batch} / bound", name, bound_name(1))
            yield ratio_of_rates(f"{protocol}, batches of {batch} / faster bound of 1 and 2 connections", name, bound_name(1), bound_name(2))
            yield Figure(f"{protocol}, batches of {batch}: node's CPU seconds per million rows", (name,), lambda node: cpu(node, "node"))
        yield ratio_of_rates(f"http, batches of {batch} / hand-written service", node_name("http", "journal", batch), service_name(batch))
    yield Figure("CPU per row of node and database / original design", (node_name("ndjson", "journal", 1000), "original_design"),
                 lambda node, _: cpu(node, "node", "database"), lambda _, original: cpu(original, "service", "database"))
    yield Figure("null sink, records per second and reactor", ("null_sink",), rate)
    yield Figure("null sink: node's CPU seconds per million records", ("null_sink",), lambda node: cpu(node, "node"))
    few, many = CONNECTIONS
    for batch in (CONNECTIONS_BATCH, CONNECTIONS_BATCH_LARGE):
        yield ratio_of_rates(f"10,000 connections / 10, batches of {batch}", connections_name(many, batch), connections_name(few, batch))
    yield Figure("memory under full load, MiB", HEADLINES, lambda *nodes: max(node["memory_mib"] for node in nodes))


FIGURES = {figure.name: figure for figure in all_figures()}


def from_rounds(rounds):
    """Those that rounds give, as far as they were measured."""
    return {name: [parts.value for parts in of_rounds] for name, of_rounds in parts_from_rounds(rounds).items()}


def parts_from_rounds(rounds):
    """The same with what each value is made of, for gates."""
    parts = {name: figure.parts(rounds) for name, figure in FIGURES.items()}
    return {name: of_rounds for name, of_rounds in parts.items() if of_rounds}


def acknowledge_name(ack, batch):
    return f"acknowledge p99 ({ack}) at the maximum of the hand-written service, batches of {batch} / its own"


def acknowledge_to_services(rounds, latency):
    """The node's p99 at the highest rate a hand-written service reaches, open loop, to the service's own when it runs at that rate,
    closed loop: one value for all rounds. The service answers when rows are committed; the node as it ships, from its journal, and as
    the service does, at commit. Both p99 are noted in the level as well."""
    figures = {}
    for level in latency["at_service_rate"]:
        level["service_p99_us"] = spread([measured["ack_us"]["p99"] for measured in series(rounds, level["service"])])["median"]
        level["p99_us"] = dict(map(tuple, level["points"])).get(99)
        if level["p99_us"] is not None:
            figures[acknowledge_name(level["ack"], level["batch"])] = [level["p99_us"] / level["service_p99_us"]]
    return figures


def needs(name):
    """The measurements that the figure of this name is made of, as far as they are measurements of rounds."""
    if name in FIGURES:
        return FIGURES[name].needs
    return tuple(service_name(batch) for batch in BATCHES if name in [acknowledge_name(ack, batch) for ack in ACKS])


CODEC_FIGURES = {"codec / simdjson reading all fields": "ratio_to_simdjson", "codec, records per second and core": "records_per_second"}


def from_micro(runs):
    """Those that micro-benchmarks give; each run is a round."""
    return {name: [run["codec"][key] for run in runs] for name, key in CODEC_FIGURES.items() if runs}


def parts_from_micro(runs):
    """The same with what each value is made of: a ratio is of two speeds in one process."""
    codecs = [run["codec"] for run in runs]
    parts = ([Parts(codec["records_per_second"], codec["records_per_second"] / codec["ratio_to_simdjson"]) for codec in codecs],
             [Parts(codec["records_per_second"]) for codec in codecs])
    return dict(zip(CODEC_FIGURES, parts)) if runs else {}


def memory_mib(rounds):
    """The most that a node had in any measurement."""
    return max(figures["memory_mib"] for measured in rounds for figures in measured.values() if "memory_mib" in figures)
