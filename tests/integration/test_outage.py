"""The database is away for long: the node goes on acknowledging from its journal, in flat memory, until the journal is full.

Then it says so, and takes nothing. When the database is back it catches up while new records come in, and all of them are
there once.
"""

import os
import pathlib
import re
import socket
import time
import unittest

from cluster import Cluster
from load import Load, faults
from support import BIN_DIR, Node, audit, check_conservation, ndjson, telemetry, wait_until

# The node commits some times as many, so that it catches up on a machine that is busy with other things as well.
RECORDS_PER_SECOND = 8000
SECONDS_MAX = 150  # for the journal to fill, and for the backlog to go
MIB = 1 << 20
# Of the pipeline's buffers, the ring's and the allocator's: what may come on top while the journal fills.
MEMORY_GROWTH_MAX = 24 * MIB
# ThreadSanitizer keeps four bytes and more of its own for each that the node touches, and they count as the node's.
if b"libtsan" in (BIN_DIR / "wellhead").read_bytes():
    MEMORY_GROWTH_MAX *= 6
# So do the zones that AddressSanitizer puts around every piece of memory.
if b"libasan" in (BIN_DIR / "wellhead").read_bytes():
    MEMORY_GROWTH_MAX *= 2

SMALL_JOURNAL = """
pipeline.memory = "16MiB"
journal.segment_bytes = "4MiB"
journal.block_bytes_max = "2MiB"
journal.bytes_max = "40MiB"
journal.keep_bytes = "0B"
journal.keep_time = "0ms"
journal.free_bytes_min = "0B"
"""


class Outage(unittest.TestCase):
    def setUp(self):
        # AddressSanitizer keeps freed memory back, 256 MiB of it by itself, and here memory is measured.
        os.environ["ASAN_OPTIONS"] = os.environ.get("ASAN_OPTIONS", "") + ":quarantine_size_mb=8"
        self.cluster = Cluster()
        self.addCleanup(self.cluster.remove)
        self.node = Node(self.cluster.url, SMALL_JOURNAL)
        self.addCleanup(self.node.remove)
        self.node.start()
        self.loads = []
        for protocol in ("http", "ndjson"):
            self.loads.append(Load(self.node, self.cluster.url, protocol, RECORDS_PER_SECOND / 2, "--verify-timeout", "120"))
            self.addCleanup(self.loads[-1].remove)

    def acknowledged(self):
        return sum(load.status()["acknowledged"] for load in self.loads)

    def resident_bytes(self):
        status = pathlib.Path(f"/proc/{self.node.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+) kB", status)[1]) * 1024

    def journal_is_full(self):
        return self.node.metric("wellhead_journal_full") > 0

    def test_the_journal_bridges_an_outage_up_to_its_limit(self):
        wait_until(lambda: self.acknowledged() > RECORDS_PER_SECOND, "the load is on its way")
        self.cluster.stop()
        memory_before = self.resident_bytes()
        at_the_stop = self.acknowledged()
        self.assert_acknowledging_goes_on(at_the_stop)
        wait_until(self.journal_is_full, "the journal fills up", SECONDS_MAX)
        self.assertGreater(self.acknowledged() - at_the_stop, 2 * RECORDS_PER_SECOND)
        self.assert_http_is_told_to_wait()
        self.assert_lines_are_not_read()
        self.assertLess(self.resident_bytes() - memory_before, MEMORY_GROWTH_MAX)
        self.assertLessEqual(self.node.metric("wellhead_journal_bytes"), 40 * MIB)
        self.assertEqual(self.node.admin("/health/live").status, 200)
        self.assertEqual(self.node.admin("/health/ready").status, 503)
        check_conservation(self.node)

        self.cluster.start()
        full = self.acknowledged()
        wait_until(lambda: self.acknowledged() > full + 2 * RECORDS_PER_SECOND, "new records are taken again", SECONDS_MAX)
        wait_until(lambda: self.node.metric("wellhead_records_queued") < RECORDS_PER_SECOND, "the backlog is gone while records come in", SECONDS_MAX)
        wait_until(self.node.is_ready, "ready again")
        self.finish()

    def assert_acknowledging_goes_on(self, before):
        """Without a database, that is; the node says in /health/ready that it is not all there."""
        wait_until(lambda: self.acknowledged() > before + RECORDS_PER_SECOND, "acknowledged from the journal")
        self.assertIn("problem", self.node.admin("/health/ready").text)

    def assert_http_is_told_to_wait(self):
        reply = self.node.post("telemetry", telemetry("late"))
        self.assertEqual(reply.status, 503, reply.text)
        self.assertGreaterEqual(int(reply.headers["Retry-After"]), 1)

    def assert_lines_are_not_read(self):
        """A sender of lines is not told anything: it cannot get rid of more than the sockets' buffers hold."""
        with self.node.socket("ndjson") as connection:
            connection.setblocking(False)
            lines = ndjson([telemetry(f"late-{number}", rpm=1) for number in range(1000)])
            quiet_since = time.monotonic()
            sent = 0
            while time.monotonic() - quiet_since < 1 and sent < 64 * MIB:
                try:
                    sent += connection.send(lines)
                    quiet_since = time.monotonic()
                except BlockingIOError:
                    time.sleep(0.02)
            self.assertLess(sent, 64 * MIB)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

    def finish(self):
        for load in self.loads:
            load.stop()
        for load in self.loads:
            report = load.report()
            self.assertEqual((faults(report), report["unknown"]), ({}, 0), report)
        check_conservation(self.node)
        audit(self.node)
        self.node.terminate()


if __name__ == "__main__":
    unittest.main(verbosity=2)
