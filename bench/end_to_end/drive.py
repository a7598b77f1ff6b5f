"""Drives a node or another HTTP service as fast as it answers, and tells rows per second, CPU and memory.

Rows are counted until the last one is committed in the hypertable, whatever was acknowledged before. The node's are then read back
and compared one by one (--verify); of others all rows are counted.
"""

import json
import os
import pathlib
import subprocess
import tempfile
import time

from harness import BIN_DIR, LOAD_SECONDS_MAX, Node, committed
from processes import CpuMeter, memory_mib_max
from starting import start_patiently

# Of records on their way: enough for large transactions by the node, whose shards gather while a COPY is on the way; a client with
# fewer waits for the database's latency instead of its rate.
RECORDS_OUTSTANDING = 64_000
NDJSON_CONNECTIONS = 4
HTTP_CONNECTIONS_MIN, HTTP_CONNECTIONS_MAX = 16, 128
WINDOW_MIN, WINDOW_MAX = 16, 4096
POLL_SECONDS_MIN, POLL_SECONDS_MAX = 0.005, 0.25
# A node that has just started makes its journal's first segments ready.
SETTLE_SECONDS = 0.5
DATABASE_URL_VARIABLE = "WELLHEAD_LOADGEN_DATABASE_URL"


def load_options(protocol, batch, wells=1000):
    """What the load generator is told for its best case with this batch size."""
    batches = RECORDS_OUTSTANDING // batch
    if protocol == "http":
        connections = min(max(batches, HTTP_CONNECTIONS_MIN), HTTP_CONNECTIONS_MAX)
        return ["--max", "--batch", batch, "--connections", connections, "--wells", wells]
    window = min(max(batches // NDJSON_CONNECTIONS, WINDOW_MIN), WINDOW_MAX)
    return ["--max", "--batch", batch, "--connections", NDJSON_CONNECTIONS, "--window", window, "--wells", wells]


class Load:
    """The load generator as a process whose CPU can be told."""

    def __init__(self, protocol, port, options, database_url=None):
        self.folder = tempfile.TemporaryDirectory(prefix="wellhead-load-")
        self.report_path = pathlib.Path(self.folder.name, "report")
        self.log_path = pathlib.Path(self.folder.name, "log")
        environment = {**os.environ, DATABASE_URL_VARIABLE: database_url or ""}
        with open(self.log_path, "wb") as log:
            self.begin = time.monotonic()
            self.process = subprocess.Popen(
                [BIN_DIR / "wellhead-loadgen", "--url", f"{protocol}://127.0.0.1:{port}", "--quiet", "--json", self.report_path, *map(str, options)],
                env=environment, stdout=log, stderr=log, stdin=subprocess.DEVNULL)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.folder.cleanup()

    def check_running(self):
        if self.process.poll() not in (None, 0):
            self.fail()

    def fail(self):
        raise AssertionError(f"the load generator exited {self.process.returncode}:\n{self.log_path.read_text(errors='replace')}")

    def report(self, rate_may_be_missed=False):
        """Once it has ended well: all was acknowledged, and nothing lost, duplicated or changed as far as it was told to look."""
        self.process.wait(LOAD_SECONDS_MAX)
        report = json.loads(self.report_path.read_text()) if self.report_path.exists() else None
        missed_only = rate_may_be_missed and report and not report["rate_held"] and report["acknowledged"] == report["sent"]
        if self.process.returncode != 0 and not missed_only:
            self.fail()
        return report


def follow(node, load, expected):
    """Seconds from the load's beginning until as many rows are committed. Asks the rarer the farther that is away, for every question
    costs the node CPU. `load` has `begin`, and check_running(), which raises when no more will come."""
    while True:
        rows, seconds = committed(node), time.monotonic() - load.begin
        if rows >= expected:
            return seconds
        if seconds > LOAD_SECONDS_MAX:
            raise AssertionError(f"{rows:.0f} of {expected} rows are committed after {seconds:.0f} s; the node's log says:\n{node.log()}")
        load.check_running()
        left = (expected - rows) * seconds / rows if rows else POLL_SECONDS_MAX
        time.sleep(min(max(left / 2, POLL_SECONDS_MIN), POLL_SECONDS_MAX))


def result(rows, seconds, cpu, **further):
    return {"rows": rows, "seconds": seconds, "rows_per_second": rows / seconds,
            "cpu_s_per_million": {name: spent / rows * 1e6 for name, spent in cpu.items()}, **further}


class FreshNode:
    """A node for one measurement, in tables that are empty."""

    def __init__(self, stage, **settings):
        stage.fresh()
        self.node = Node(stage.url, migrate=False, **settings)

    def __enter__(self):
        try:
            start_patiently(self.node)
        except BaseException:
            self.node.remove()
            raise
        time.sleep(SETTLE_SECONDS)
        return self.node

    def __exit__(self, kind, *_):
        try:
            if kind is None:
                self.node.terminate()
        finally:
            self.node.remove()


def drive_node(stage, protocol, ack, batch, rows, **settings):
    """One measurement of the node, end to end."""
    with FreshNode(stage, http_ack=ack, ndjson_ack=ack, **settings) as node:
        meter = CpuMeter(node=node.process.pid, database=stage.database_pid)
        options = [*load_options(protocol, batch), "--count", rows, "--verify", "--admin", f"http://127.0.0.1:{node.ports['admin']}"]
        with Load(protocol, node.ports[protocol], options, stage.url) as load:
            meter.add("loadgen", load.process.pid)
            seconds = follow(node, load, rows)
            cpu = meter.spent()
            report = load.report()
        return result(rows, seconds, cpu, ack_us=report["ack_latency_us"], memory_mib=memory_mib_max(node.process.pid))


def drive_service(stage, name, pid, port, load, rows):
    """One measurement of a service that answers as the node does, once the rows are committed."""
    meter = CpuMeter(**{name: pid}, database=stage.database_pid)
    with Load("http", port, [*load, "--count", rows]) as load:
        report = load.report()
        cpu = meter.spent()
    stage.check_rows(rows)
    return result(rows, report["duration_s"], cpu, ack_us=report["ack_latency_us"])


def drive_null_sink(protocol, batch, rows):
    """Records/s of a node whose sink counts them and throws them away, through its one reactor."""
    node = Node(sink="null")
    try:
        start_patiently(node)
        time.sleep(SETTLE_SECONDS)
        meter = CpuMeter(node=node.process.pid)
        with Load(protocol, node.ports[protocol], [*load_options(protocol, batch), "--count", rows]) as load:
            meter.add("loadgen", load.process.pid)
            seconds = follow(node, load, rows)
            cpu = meter.spent()
            report = load.report()
        measured = result(rows, seconds, cpu, ack_us=report["ack_latency_us"], memory_mib=memory_mib_max(node.process.pid))
        node.terminate()
        return measured
    finally:
        node.remove()


def drive_connections(stage, connections, rows, batch, batches_outstanding):
    """As many records on their way whatever the number of connections. An answer means committed, so that connecting does not count."""
    with FreshNode(stage, ndjson_ack="commit") as node:
        meter = CpuMeter(node=node.process.pid, database=stage.database_pid)
        options = ["--max", "--batch", batch, "--connections", connections, "--window", max(1, batches_outstanding // connections),
                   "--wells", 1000, "--count", rows, "--connect-timeout", 60]
        with Load("ndjson", node.ports["ndjson"], options) as load:
            report = load.report()
            cpu = meter.spent()
        stage.check_rows(rows)
        return result(rows, report["duration_s"], cpu, ack_us=report["ack_latency_us"], memory_mib=memory_mib_max(node.process.pid))
