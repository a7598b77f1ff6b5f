"""A node under load, with a database of its own, for as long as it is looked at."""

import os
import pathlib
import re
import signal
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests" / "integration"), str(ROOT / "bench" / "end_to_end")]

from cluster import Cluster  # noqa: E402 the path comes first
from processes import tree_processes  # noqa: E402
from support import BIN_DIR, Node, wait_until  # noqa: E402

WARM_UP_SECONDS = 1
STOP_SECONDS_MAX = 60


class Workload:
    """Everything that runs; what `stack` closes is removed."""

    def __init__(self, stack, options):
        self.cluster = None
        self.counted, self.counted_at, self.rate = 0, 0, 0
        if options.sink == "postgres":
            self.cluster = Cluster()
            stack.callback(self.cluster.remove)
        self.node = Node(self.cluster.url if self.cluster else None, sink=options.sink)
        stack.callback(self.node.remove)
        self.node.start()
        self.load = subprocess.Popen(
            [BIN_DIR / "wellhead-loadgen", "--url", f"{options.protocol}://127.0.0.1:{self.node.ports[options.protocol]}", "--quiet", "--max",
             "--until-stopped", "--batch", str(options.batch), "--connections", "4", "--wells", "1000"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
        stack.callback(self.stop_load)
        wait_until(lambda: self.received() > 0, "the node takes records")
        time.sleep(WARM_UP_SECONDS)

    def received(self):
        return self.node.metric("wellhead_records_received_total")

    def count_from_here(self):
        self.counted, self.counted_at = self.received(), time.monotonic()

    def end(self):
        """Stops the load; `rate` is the records a second since count_from_here()."""
        self.rate = (self.received() - self.counted) / (time.monotonic() - self.counted_at)
        self.stop_load()

    def stop_load(self):
        if self.load.poll() is None:
            self.load.send_signal(signal.SIGTERM)
            try:
                self.load.wait(STOP_SECONDS_MAX)
            except subprocess.TimeoutExpired:
                self.load.kill()
                self.load.wait()

    def processes(self, target):
        """The processes of a target: the database has one for each connection and more."""
        if target == "node":
            return [self.node.process.pid]
        if target == "loadgen":
            return [self.load.pid]
        return tree_processes(int(self.cluster.call("pid")))


def process_role(process):
    """What a process of the database does, from its title: checkpointer, walwriter, …; those that serve the node are backends."""
    try:
        title = pathlib.Path(f"/proc/{process}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return "ended"
    role = re.search(r"postgres: (?:\S+: )?(checkpointer|background writer|walwriter|autovacuum \w+|logical replication launcher|"
                     r"TimescaleDB [\w ]+?Scheduler|TimescaleDB [\w ]+?Launcher|io worker)", title)
    if role:
        return role[1]
    return "backend" if "postgres: " in title else "postmaster"


def threads_of(processes, name_of_process=None):
    """(process, name) of each thread, by its number. `name_of_process`: else a thread's own name is taken."""
    threads = {}
    for process in processes:
        for task in pathlib.Path(f"/proc/{process}/task").iterdir():
            name = name_of_process(process) if name_of_process else (task / "comm").read_text().strip()
            threads[int(task.name)] = (process, name)
    return threads


def run_directory():
    return os.environ.get("TMPDIR", "/var/tmp")
