"""What settings of one machine are worth to a node: each way beside the plain one, in turn, in one run.

  WELLHEAD_BIN_DIR=build/release/bin python3 perf/tuning.py [WAY...] [--rounds N] [--records N]

The ways need no change to the machine as a whole, only to the processes that are started here. Told are medians: rows a second until
the last is committed, sent by NDJSON as fast as they are answered; processor seconds of the node for a million of them; and
acknowledgement of batches of 100 at 20,000 records/s. Beside each stands how far it lies from the plain way of the same round, its median
and middle half: what changes its sign within that half is no effect. Run it as root: some of the ways need it.
"""

import argparse
import contextlib
import json
import os
import pathlib
import signal
import statistics
import subprocess
import sys
import time

import workload  # noqa: F401 it knows where the others are
from cluster import Cluster
from processes import own_cpu_seconds, tree_processes
from support import BIN_DIR, Node, wait_until

WAIT_SECONDS = 300
LATENCY_RATE, LATENCY_SECONDS = 20000, 3
PROCESSORS = sorted(os.sched_getaffinity(0))
HALF = len(PROCESSORS) // 2


def each_thread(process, do):
    for task in pathlib.Path(f"/proc/{process}/task").iterdir():
        with contextlib.suppress(ProcessLookupError):
            do(int(task.name))


class Way:
    """How a node is run; the plain one."""

    settings, environment, load_processors = {}, {}, None

    def started(self, node, cluster):
        """Called when the node is up and before anything is sent."""

    def ended(self, cluster):
        """Takes back what was done to the cluster."""


class Pinned(Way):
    settings = {"server_pin_threads": True}


class Apart(Way):
    """Node on the first half of the processors, load generator and database on the others."""

    load_processors = PROCESSORS[HALF:]

    def started(self, node, cluster):
        each_thread(node.process.pid, lambda thread: os.sched_setaffinity(thread, PROCESSORS[:HALF]))
        self.bind_database(cluster, PROCESSORS[HALF:])

    def ended(self, cluster):
        self.bind_database(cluster, PROCESSORS)

    @staticmethod
    def bind_database(cluster, processors):
        for process in tree_processes(int(cluster.call("pid"))):
            os.sched_setaffinity(process, processors)


class HugePages(Way):
    """Transparent huge pages for what the node allocates, batches above all."""

    environment = {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}


class Preferred(Way):
    """The node before the others when processors are busy."""

    def started(self, node, cluster):
        each_thread(node.process.pid, lambda thread: os.setpriority(os.PRIO_PROCESS, thread, -10))


class JournalFirst(Way):
    """The threads that write the journal's blocks before everything else, as soon as they have something to do: they mostly wait."""

    def started(self, node, cluster):
        for task in pathlib.Path(f"/proc/{node.process.pid}/task").iterdir():
            if (task / "comm").read_text().startswith("journal-"):
                os.sched_setscheduler(int(task.name), os.SCHED_FIFO, os.sched_param(10))


WAYS = {"plain": Way, "pinned": Pinned, "apart": Apart, "huge_pages": HugePages, "preferred": Preferred, "journal_first": JournalFirst}


def load(node, way, *options):
    """Sends, and returns the load generator's report."""
    report = pathlib.Path(node.folder.name, "report.json")
    report.unlink(missing_ok=True)  # that of the load before is none of this one's
    bound = (lambda: os.sched_setaffinity(0, way.load_processors)) if way.load_processors else None
    done = subprocess.run([BIN_DIR / "wellhead-loadgen", "--url", f"ndjson://127.0.0.1:{node.ports['ndjson']}", "--quiet", "--json", report,
                           "--wells", "1000", *map(str, options)], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          preexec_fn=bound, timeout=WAIT_SECONDS, check=False)
    told = json.loads(report.read_text()) if report.exists() else None
    missed_only = told and not told["rate_held"] and told["acknowledged"] == told["sent"]  # it shows in the latencies
    if done.returncode != 0 and not missed_only:
        raise AssertionError(f"the load generator exited {done.returncode}:\n{done.stdout}{done.stderr}")
    return told


def measure(way, cluster, records):
    """One round of one way."""
    node = Node(cluster.url, environment=way.environment, **way.settings)
    try:
        cluster.query("TRUNCATE telemetry")
        node.start()
        way.started(node, cluster)
        begin, used = time.monotonic(), own_cpu_seconds(node.process.pid)
        load(node, way, "--max", "--batch", 1000, "--count", records)
        wait_until(lambda: node.metric("wellhead_shard_rows_committed_total") >= records, "all is committed", WAIT_SECONDS)
        seconds, used = time.monotonic() - begin, own_cpu_seconds(node.process.pid) - used
        latency = load(node, way, "--rate", LATENCY_RATE, "--batch", 100, "--duration", LATENCY_SECONDS)["ack_latency_us"]
        node.terminate()
    finally:
        way.ended(cluster)
        node.remove()
    return {"rows_per_second": records / seconds, "node_cpu_s_per_million": used * 1e6 / records,
            "ack_p50_ms": latency["p50"] / 1000, "ack_p99_ms": latency["p99"] / 1000}


COLUMNS = {"rows_per_second": ("rows/s", ",.0f"), "node_cpu_s_per_million": ("node s/M", ".2f"), "ack_p50_ms": ("ack p50 ms", ".2f"),
           "ack_p99_ms": ("ack p99 ms", ".2f")}


def cell(rounds, plain_rounds, column, form):
    """The median, and how far the way lies from the plain one of the same round: its median and middle half."""
    median = format(statistics.median(figures[column] for figures in rounds), form)
    if rounds is plain_rounds:
        return median
    changes = [100 * (figures[column] / plain[column] - 1) for figures, plain in zip(rounds, plain_rounds)]
    low, middle, high = statistics.quantiles(changes, n=4, method="inclusive") if len(changes) > 1 else changes * 3
    return f"{median} {middle:+.0f} % ({low:+.0f} … {high:+.0f})"


def table(results):
    """A line for each way."""
    lines = [f"{'way':<14}" + "".join(f"{title:>32}" for title, _ in COLUMNS.values())]
    for name, rounds in results.items():
        cells = (cell(rounds, results["plain"], column, form) for column, (_, form) in COLUMNS.items())
        lines.append(f"{name:<14}" + "".join(f"{text:>32}" for text in cells))
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("ways", nargs="*", default=list(WAYS), metavar="WAY", help=", ".join(WAYS))
    parser.add_argument("--rounds", type=int, default=5, help="of each way (%(default)s)")
    parser.add_argument("--records", type=int, default=1000000, help="in each round (%(default)s)")
    options = parser.parse_args()
    if not set(options.ways) <= set(WAYS):
        parser.error("the ways are " + ", ".join(WAYS))
    # Everything that was started is stopped on the way out, whoever ends us.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda received, _: sys.exit(128 + received))
    results = {name: [] for name in dict.fromkeys(["plain", *options.ways])}
    with contextlib.ExitStack() as stack:
        cluster = Cluster()
        stack.callback(cluster.remove)
        for number in range(options.rounds):
            for name, rounds in results.items():
                rounds.append(measure(WAYS[name](), cluster, options.records))
                print(f"round {number + 1}/{options.rounds}  {name:<14} {rounds[-1]['rows_per_second']:9,.0f} rows/s", file=sys.stderr, flush=True)
    print(table(results))
    return 0


if __name__ == "__main__":
    sys.exit(main())
