"""Latency under load: open loop, at shares of the throughput that was measured before in the same run, beside a bare durable write.

Latency counts from when a batch was due. The level `commit` is measured with a node that answers when rows are in the database, so
that its distribution is as exact as that of the other. The values of all rounds are put together.
"""

import time

from bare_writes import BareWrites
from drive import FreshNode, Load, SETTLE_SECONDS
from harness import drain, latencies_us, say

SHARES = (0.1, 0.5, 0.8)
# Few batches come at the lowest level: it goes on for longer, so that rare percentiles have values too.
LOWEST_LEVEL_TIMES = 3
ACKS = ("journal", "commit")
BATCH = 100
CONNECTIONS = 4
BARE_WRITES_PER_SECOND = 100
PERCENTILES = (50, 75, 90, 95, 99, 99.5, 99.9, 99.95, 99.99)


def curve(values):
    """Percentiles in microseconds, each only if a value lies beyond it: the rarer ones need more values."""
    ordered = sorted(values)
    # In whole numbers: 10,000 * (1 - 99.99 / 100) is a little below 1.
    ranks = {share: len(ordered) * round(100 * share) // 10_000 for share in PERCENTILES}
    points = [[share, ordered[rank]] for share, rank in ranks.items() if rank < len(ordered) and len(ordered) * (10_000 - round(100 * share)) >= 10_000]
    return {"count": len(ordered), "points": points, "max": ordered[-1]}


def open_loop(node, protocol, rate, seconds, batch=BATCH, connections=CONNECTIONS):
    """The report with the latency of each batch. A rate that was not held shows in the latencies and is no error; anything lost is."""
    path = node.folder.name + "/latency"
    options = ["--rate", round(rate), "--duration", seconds, "--batch", batch, "--connections", connections, "--wells", 1000, "--hgrm", path]
    with Load(protocol, node.ports[protocol], options) as load:
        report = load.report(rate_may_be_missed=True)
    with open(path, encoding="ascii") as file:
        # The load generator counts each record of a batch; they were answered together and are one value here.
        report["latencies_us"] = latencies_us(file.read(), every=batch)
    drain(node)
    return report


class Series:
    """What was measured for one curve over the rounds."""

    def __init__(self, **labels):
        self.labels, self.values, self.rates, self.held = labels, [], [], True

    def add(self, report):
        self.values.extend(report["latencies_us"])
        self.rates.append(report["rate"])
        self.held = self.held and report["rate_held"]

    def told(self):
        return {**self.labels, "rate": round(sum(self.rates) / len(self.rates)), "rate_held": self.held, **curve(self.values)}


class Latencies:
    """`maximum` is in rows per second, `services` has (name, rows per second, batch, connections) of what the node is held against, which
    it is with both ways to acknowledge."""

    def __init__(self, stage, maximum, services, seconds):
        self.stage, self.maximum, self.seconds = stage, maximum, seconds
        self.levels = {(ack, share): Series(ack=ack, share=share) for ack in ACKS for share in SHARES}
        self.at_services = [(rate, connections, Series(service=name, batch=batch, ack=ack)) for name, rate, batch, connections in services for ack in ACKS]
        self.bare = []

    def run_round(self):
        for ack in ACKS:
            with FreshNode(self.stage, http_ack=ack, ndjson_ack=ack) as node:
                bare = BareWrites(node.journal, BARE_WRITES_PER_SECOND)
                try:
                    self.run_levels(node, ack)
                finally:
                    bare.stop()
                self.bare.extend(microseconds for _, microseconds in bare.samples)
        for ack in ACKS if self.at_services else ():
            with FreshNode(self.stage, http_ack=ack) as node:
                self.run_at_services(node, ack)

    def run_at_services(self, node, ack):
        for rate, connections, series in self.at_services:
            if series.labels["ack"] == ack:
                series.add(open_loop(node, "http", rate, self.seconds, series.labels["batch"], connections))
                time.sleep(min(SETTLE_SECONDS, self.seconds / 4))

    def run_levels(self, node, ack):
        for share in SHARES:
            series = self.levels[ack, share]
            seconds = self.seconds * (LOWEST_LEVEL_TIMES if share == min(SHARES) else 1)
            series.add(open_loop(node, "ndjson", share * self.maximum, seconds))
            say(f"latency  {ack:<8} {100 * share:3.0f} % of the maximum  {series.rates[-1]:>9,.0f} rows/s")
            time.sleep(min(SETTLE_SECONDS, self.seconds / 4))

    def told(self):
        return {"maximum_rows_per_second": round(self.maximum), "batch": BATCH, "protocol": "ndjson", "seconds": self.seconds,
                "levels": [series.told() for series in self.levels.values()], "at_service_rate": [series.told() for _, _, series in self.at_services],
                "bare_write": curve(self.bare)}
