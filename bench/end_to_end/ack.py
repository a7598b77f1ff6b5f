"""How long a durable acknowledgement takes, against a bare durable write of 64 KiB to the same disk in the same run.

A node with its journal and a TimescaleDB takes 10,000 records/s in batches of 100, by HTTP and NDJSON in turn. All the while
a small program writes 64 KiB with O_DIRECT | O_DSYNC into a file in the journal's directory, some dozens of times a second,
and goes on in the pauses between the loads. The latency of an acknowledgement counts from when its batch was due (open loop).
"""

import sys
import time

from bare_writes import BareWrites
from harness import Run, drain, histogram, percentiles, say, send

PROTOCOLS = ("http", "ndjson")
TARGETS = {"p50": 3, "p99": 6}
OPTIONS = {
    "rate": (float, 10000, "records per second"),
    "batch": (int, 100, "records per request, or acknowledgement"),
    "connections": (int, 4, "connections to the node"),
    "rounds": (int, 4, "of a pause and a load by each protocol"),
    "seconds": (float, 5, "of each load"),
    "pause": (float, 2.5, "seconds without load before each"),
    "writes": (int, 40, "bare writes per second"),
}


def measure(run, node):
    """What was seen: spans of time with and without load, and reports by protocol."""
    options = run.options
    pauses, loads, reports = [], [], {protocol: [] for protocol in PROTOCOLS}
    for number in range(options.rounds):
        for protocol in PROTOCOLS:
            drain(node)
            begin = time.monotonic()
            time.sleep(options.pause)
            loaded = time.monotonic()
            pauses.append((begin, loaded))
            report = send(node, protocol, "--rate", options.rate, "--duration", options.seconds, "--batch", options.batch,
                          "--connections", options.connections)
            loads.append((loaded, time.monotonic()))
            reports[protocol].append(report)
            say(f"round {number + 1}/{options.rounds}  {protocol:<6}  {report['rate']:8.0f} records/s  "
                f"acknowledged p50 {report['ack_latency_us']['p50']} us, p99 {report['ack_latency_us']['p99']} us")
    return pauses, loads, reports


def main():
    with Run(__doc__, OPTIONS) as run:
        node = run.node(run.cluster().url)
        bare = BareWrites(node.journal, run.options.writes)
        try:
            pauses, loads, reports = measure(run, node)
        finally:
            bare.stop()
        node.terminate()
        series = {"bare write": bare.within(pauses + loads),
                  "acknowledgement": [value for of_one in reports.values() for report in of_one for value in report["latencies_us"]]}
        say(histogram(series))
        bare_write, ack = (percentiles(values) for values in series.values())
        for name, bound in TARGETS.items():
            run.target(f"acknowledgement / bare write, {name}", ack[name] / bare_write[name], bound)
        return run.finish({
            "bare_write_us": bare_write, "ack_us": ack,
            "bare_write_without_load_us": percentiles(bare.within(pauses)), "bare_write_under_load_us": percentiles(bare.within(loads)),
            "ack_us_by_protocol": {protocol: percentiles([value for report in of_one for value in report["latencies_us"]])
                                   for protocol, of_one in reports.items()},
            "ack_us_by_round": {protocol: [{name: report["ack_latency_us"][name] for name in TARGETS} for report in of_one]
                                for protocol, of_one in reports.items()},
            "ratio": {name: round(ack[name] / bare_write[name], 2) for name in TARGETS},
            "rate": round(min(report["rate"] for of_one in reports.values() for report in of_one), 1)})


if __name__ == "__main__":
    sys.exit(main())
