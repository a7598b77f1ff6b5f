"""What the end-to-end benchmarks share: load, figures with their spread, and the way results are told.

Nodes, clusters and their removal are those of the integration tests. Everything is compared with a reference of the same run.
"""

import argparse
import bisect
import contextlib
import json
import os
import pathlib
import signal
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tests" / "integration"))

from cluster import Cluster  # noqa: E402 the path comes first
from support import BIN_DIR, Node, wait_until  # noqa: E402

LOAD_SECONDS_MAX = 300
ENDING_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# What NDJSON needs to be quick; the same for all that is sent as fast as the node answers.
MAXIMUM = ("--max", "--batch", "1000", "--connections", "4", "--wells", "1000")


def end(received, _):
    """Everything that was started is stopped on the way out, whoever ends us; once that has begun, nothing interrupts it."""
    for number in ENDING_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    sys.exit(128 + received)


class Run:
    """A benchmark's command line, its clean-up and its result. `options` has type, default and meaning by name; of the type bool is what
    is given without a value."""

    def __init__(self, description, options):
        parser = argparse.ArgumentParser(prog=os.environ.get("DEV_COMMAND"), description=description,
                                         formatter_class=argparse.RawDescriptionHelpFormatter)
        for name, (kind, value, text) in options.items():
            if kind is bool:
                parser.add_argument("--" + name, action="store_true", help=text)
            else:
                parser.add_argument("--" + name, type=kind, default=value, help=text if value is None else f"{text} (%(default)s)")
        parser.add_argument("--json", type=pathlib.Path, default=None, help="write the result there as well")
        self.options = parser.parse_args()
        for name, value in vars(self.options).items():
            if type(value) in (int, float) and not value > 0:
                parser.error(f"--{name} must be above 0")
        self.stack = contextlib.ExitStack()
        self.targets = []

    def __enter__(self):
        for number in ENDING_SIGNALS:
            signal.signal(number, end)
        return self

    def __exit__(self, *_):
        self.stack.close()

    def cluster(self):
        say("starting TimescaleDB")
        cluster = Cluster()
        self.stack.callback(cluster.remove)
        return cluster

    def node(self, url, start=True, **arguments):
        node = Node(url, **arguments)
        self.stack.callback(node.remove)
        return node.start() if start else node

    def target(self, what, value, bound, at_most=True):
        """Notes whether a target was reached."""
        held = value <= bound if at_most else value >= bound
        self.targets.append({"what": what, "value": round(value, 3), "bound": bound, "held": held})

    def finish(self, result):
        """Prints the result and the verdict; the exit code."""
        result["targets"] = self.targets
        text = json.dumps(result, indent=2) + "\n"
        print(text, end="")
        if self.options.json is not None:
            self.options.json.write_text(text)
        for target in self.targets:
            say(f"{'held  ' if target['held'] else 'MISSED'}  {target['what']}: {target['value']}, bound {target['bound']}")
        return 0 if all(target["held"] for target in self.targets) else 1


def say(text):
    print(text, file=sys.stderr, flush=True)


def launch_load(node, protocol, *options):
    """The load generator in the background."""
    return subprocess.Popen([BIN_DIR / "wellhead-loadgen", "--url", f"{protocol}://127.0.0.1:{node.ports[protocol]}", "--quiet", *map(str, options)],
                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL)


def send(node, protocol, *options):
    """Sends, and returns the load generator's report with every batch's latency, in microseconds, as far as its percentiles tell it."""
    with tempfile.TemporaryDirectory(dir=node.folder.name) as folder:
        report_path, latency_path = pathlib.Path(folder, "report"), pathlib.Path(folder, "latency")
        load = launch_load(node, protocol, *options, "--json", report_path, "--hgrm", latency_path)
        try:
            load.wait(LOAD_SECONDS_MAX)
        finally:
            load.kill()
            load.wait()
        if load.returncode != 0:
            raise AssertionError(f"the load generator ended with exit code {load.returncode}; the node's log says:\n{node.log()}")
        report = json.loads(report_path.read_text())
        report["latencies_us"] = latencies_us(latency_path.read_text())
        return report


def latencies_us(distribution, every=1):
    """Values from an HdrHistogram percentile file: as many as were counted, or one for `every` so many, evenly spread between those that
    are told."""
    points = [(0, None)]
    for line in distribution.splitlines()[2:]:
        if not line or line.startswith("#"):
            continue
        milliseconds, _, count, *_ = line.split()
        points.append((int(count), float(milliseconds) * 1000))
    points[0] = (0, points[1][1])
    counts = [count for count, _ in points]
    values = []
    for rank in range((every + 1) // 2, counts[-1] + 1, every):
        upper = bisect.bisect_left(counts, rank)
        (count_below, below), (count, value) = points[upper - 1], points[upper]
        values.append(below + (value - below) * (rank - count_below) / (count - count_below))
    return values


def committed(node):
    """Rows the shards have committed since the node started."""
    return node.metric("wellhead_shard_rows_committed_total")


def committed_rate(node, records, *options):
    """Rows per second from the first byte sent until the last row is committed, sent by NDJSON as fast as they are answered."""
    before = committed(node)
    begin = time.monotonic()
    load = launch_load(node, "ndjson", *MAXIMUM, "--count", records, *options)
    try:
        wait_until(lambda: committed(node) - before >= records, f"{records} rows are committed", LOAD_SECONDS_MAX)
        seconds = time.monotonic() - begin
        load.wait(LOAD_SECONDS_MAX)
    finally:
        load.kill()
        load.wait()
    return records / seconds


def drain(node):
    """Until everything taken is committed."""
    wait_until(lambda: node.metric("wellhead_records_queued") == 0, "everything is committed", LOAD_SECONDS_MAX)


def percentile(values, share):
    """The smallest value that this share of all does not exceed; `share` is 0 to 100."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * share // 100) - 1)]


def percentiles(values):
    return {"count": len(values), **{f"p{share}": round(percentile(values, share), 1) for share in (50, 90, 99)}, "max": round(max(values), 1)}


def spread(values):
    return {"median": round(statistics.median(values), 3), "min": round(min(values), 3), "max": round(max(values), 3), "rounds": len(values)}


def histogram(series):
    """Shares of the values of each series between bounds 1, 2, 5, 10 and so on, as bars; `series` has a list of values by its name."""
    bounds = [step * 10**power for power in range(1, 7) for step in (1, 2, 5)]
    lines = []
    for name, values in series.items():
        lines.append(f"{name}, microseconds")
        counts = [0] * (len(bounds) + 1)
        for value in values:
            counts[bisect.bisect_right(bounds, value)] += 1
        used = [index for index, count in enumerate(counts) if count]
        for index in range(used[0], used[-1] + 1):
            share = counts[index] / len(values)
            label = f"< {bounds[index]:>8,}" if index < len(bounds) else "  or more "
            lines.append(f"  {label} {100 * share:6.1f} %  " + "█" * round(50 * share))
    return "\n".join(lines)
