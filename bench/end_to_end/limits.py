"""Every limit that figures are held to, once, and why it is what it is; the codec's targets are those of its micro-benchmark.

A target is what the node is meant to reach, compared with the median of the rounds. A gate is what a change must not fall below, compared
with the best of the rounds (gate.py), so that noise does not fail it; it lies where a good machine's medians are, or at the target where that is reached
with room.
"""

import dataclasses
import statistics

from micro import CODEC_RATIO_MIN, CODEC_RECORDS_PER_SECOND_MIN


@dataclasses.dataclass(frozen=True)
class Limit:
    figure: str
    bound: float
    at_least: bool
    reason: str
    every_round: bool = False  # no matter of noise: the worst round has to hold too

    def holds(self, value):
        return value >= self.bound if self.at_least else value <= self.bound

    def best(self, values):
        return max(values) if self.at_least else min(values)

    def worst(self, values):
        return min(values) if self.at_least else max(values)

    def words(self):
        return f"{'≥' if self.at_least else '≤'} {self.bound:,.10g}"


def at_least(figure, bound, reason):
    return Limit(figure, bound, True, reason)


def at_most(figure, bound, reason, every_round=False):
    return Limit(figure, bound, False, reason, every_round)


BOUND = "sorting before COPY is worth 1.6 times a bulk load in the order of arrival, and pays for network, JSON, journal and exactly-once"
SERVICE = "else a team is better off writing the service by hand"
JOURNAL = ("a journal's write is quicker than a commit of many rows; the node at the rate that is the service's maximum, open loop and acknowledging from "
           "its journal, as it ships, against the service at that maximum, closed loop")

TARGETS = (
    at_least("ndjson, batches of 1000 / bound", 1.3, BOUND),
    at_least("http, batches of 1000 / bound", 1.3, BOUND),
    at_least("ndjson, batches of 100 / bound", 1.0, BOUND),
    at_least("http, batches of 100 / bound", 1.0, BOUND),
    at_most("ndjson, batches of 1000: node's CPU seconds per million rows", 1.0, "what is left of two cores is the database's"),
    at_most("http, batches of 1000: node's CPU seconds per million rows", 1.0, "what is left of two cores is the database's"),
    at_least("http, batches of 1000 / hand-written service", 1.8, SERVICE),
    at_least("http, batches of 100 / hand-written service", 1.8, SERVICE),
    at_most("acknowledge p99 (journal) at the maximum of the hand-written service, batches of 1000 / its own", 0.2, JOURNAL),
    at_most("acknowledge p99 (journal) at the maximum of the hand-written service, batches of 100 / its own", 0.2, JOURNAL),
    at_least("codec / simdjson reading all fields", CODEC_RATIO_MIN, "decoding, checking and encoding may cost two thirds of reading again"),
    at_least("codec, records per second and core", CODEC_RECORDS_PER_SECOND_MIN, "the reactor has a core, of which the network takes half"),
    at_least("null sink, records per second and reactor", 2e6, "a reactor must not be what limits eight shards"),
    at_most("CPU per row of node and database / original design", 0.1, "the same machine then takes ten times the wells"),
    at_most("memory under full load, MiB", 256, "a gateway's share of a small machine", every_round=True),
    at_least("10,000 connections / 10, batches of 100", 0.8, "every pump may have a connection of its own"),
    at_least("10,000 connections / 10, batches of 10", 0.8, "and send little at a time"),
)

GATES = (
    at_least("ndjson, batches of 1000 / bound", 1.0, "slower than a bulk load is a promise broken"),
    at_least("http, batches of 1000 / bound", 0.9, "HTTP costs a tenth at most"),
    at_least("ndjson, batches of 100 / bound", 0.9, "smaller batches cost calls and acknowledgements, not transactions"),
    at_least("http, batches of 100 / bound", 0.8, "a request each of 100 records"),
    at_most("ndjson, batches of 1000: node's CPU seconds per million rows", 1.1, "a tenth above the target: CPU time varies less than rates do"),
    at_most("http, batches of 100: node's CPU seconds per million rows", 1.5, "a request each of 100 records"),
    at_least("http, batches of 1000 / hand-written service", 1.3, "the margin to the best alternative, less what two noisy rates vary"),
    at_least("http, batches of 100 / hand-written service", 1.5, "the margin to the best alternative, less what two noisy rates vary"),
    at_most("null sink: node's CPU seconds per million records", 0.6, "2 million records/s need half a second; processor time varies less than rates"),
    at_least("codec / simdjson reading all fields", 0.5, "a ratio of two loops in one process: a sixth of room is plenty"),
    at_most("CPU per row of node and database / original design", 0.12, "both are CPU times, and the database's share varies by a fifth"),
    at_most("memory under full load, MiB", 256, "the target itself: memory is no matter of noise, and the most counts", every_round=True),
    at_least("10,000 connections / 10, batches of 10", 0.65, "medians of 0.72 and 0.78 were measured, less what two noisy rates vary"),
)


def evaluate_targets(figures):
    """Each target with what was measured, the median of the rounds or the worst where each has to hold; None for what was not measured,
    and then neither met nor missed."""
    told = []
    for target in TARGETS:
        values = figures.get(target.figure)
        measured = (target.worst(values) if target.every_round else statistics.median(values)) if values else None
        told.append({"name": target.figure, "target": target.words(), "measured": None if measured is None else round(measured, 4),
                     "met": None if measured is None else target.holds(measured), "reason": target.reason})
    return told
