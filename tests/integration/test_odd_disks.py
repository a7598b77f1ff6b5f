"""Disks a test machine does not have: one that hangs in the middle of a write, and one without O_DIRECT. A library that is loaded
into the node plays them."""

import contextlib
import json
import pathlib
import signal
import threading
import time
import unittest

from support import BIN_DIR, Database, Node, audit, check_conservation, telemetry, wait_until

SHIM = BIN_DIR / "disk_shim.so"
# Past the drain time a node waits this long for a thread that is stuck (engine/serve_command.cpp).
STUCK_AFTER_SECONDS = 10


class OddDisk(unittest.TestCase):
    def make_node(self, shim, **settings):
        if not SHIM.exists():
            self.skipTest("disk_shim.so is not built: a sanitizer's runtime must be loaded before any other library")
        self.database = Database()
        self.addCleanup(self.database.drop)
        self.node = Node(self.database.url, environment={"LD_PRELOAD": str(SHIM)} | shim, **settings)
        self.addCleanup(self.node.remove)
        return self.node

    def devices(self):
        return sorted(row[0] for row in self.database.query("SELECT device_id FROM telemetry"))


class HungDisk(OddDisk):
    def setUp(self):
        node = self.make_node({}, server_drain_timeout="500ms", journal_segment_bytes="4MiB", journal_block_bytes_max="4092KiB")
        self.hang = pathlib.Path(node.folder.name, "hang")
        node.environment["DISK_SHIM_HANG"] = str(self.hang)
        node.start()
        self.assertEqual(node.post("telemetry", telemetry("acknowledged")).status, 200)
        self.hang.touch()
        self.statuses = []
        self.client = threading.Thread(target=self.post_unanswered)
        self.client.start()
        self.addCleanup(self.client.join)
        wait_until(lambda: node.metric("wellhead_records_received_total") == 2, "the second record is on its way to the disk")

    def post_unanswered(self):
        with contextlib.suppress(OSError):  # nobody answers; the connection ends with the node
            self.statuses.append(self.node.post("telemetry", telemetry("unanswered")).status)

    def stop(self, signals, exit_code, seconds_max):
        begun = time.monotonic()
        for number in range(signals):
            time.sleep(0.2 * number)
            self.node.process.send_signal(signal.SIGTERM)
        self.assertEqual(self.node.process.wait(seconds_max), exit_code, self.node.log())
        self.assertLess(time.monotonic() - begun, seconds_max)
        self.client.join()
        self.assertNotIn(200, self.statuses)

    def assert_goes_on(self):
        """What was acknowledged is there once; what was not may be there, once."""
        self.hang.unlink()
        self.node.start()
        wait_until(lambda: "acknowledged" in self.devices(), "what was acknowledged is in the table")
        self.assertIn(self.devices(), (["acknowledged"], ["acknowledged", "unanswered"]))
        check_conservation(self.node)
        audit(self.node)
        self.node.terminate()

    def test_a_write_that_never_returns_does_not_hold_a_node_that_is_told_to_stop(self):
        self.stop(signals=1, exit_code=1, seconds_max=STUCK_AFTER_SECONDS + 8)
        self.assertIn("a thread is stuck", self.node.log())
        self.assert_goes_on()

    def test_a_second_signal_ends_it_at_once(self):
        self.stop(signals=2, exit_code=143, seconds_max=5)
        self.assert_goes_on()


class NoDirectIo(OddDisk):
    def warnings(self):
        lines = [json.loads(line) for line in self.node.log().splitlines() if line.startswith("{")]
        return [line for line in lines if "O_DIRECT" in json.dumps(line)]

    def test_a_file_system_without_it_is_warned_of_and_as_safe(self):
        node = self.make_node({"DISK_SHIM_NO_DIRECT": "1"}, journal_direct="preferred").start()
        self.assertEqual(len(self.warnings()), 1, node.log())
        self.assertIn("as safe and slower", json.dumps(self.warnings()[0]))
        self.assertEqual(node.post("telemetry", telemetry("a")).status, 200)
        node.kill()
        node.start()
        wait_until(lambda: self.devices() == ["a"], "what was acknowledged is in the table")
        node.terminate()

    def test_where_it_is_not_wanted_nobody_is_warned(self):
        node = self.make_node({"DISK_SHIM_NO_DIRECT": "1"}, journal_direct="off").start()
        self.assertEqual(self.warnings(), [], node.log())
        node.terminate()

    def test_where_it_is_required_the_node_says_what_to_do_and_touches_nothing(self):
        node = self.make_node({"DISK_SHIM_NO_DIRECT": "1"}, journal_direct="required")
        done = node.run("serve")
        self.assertEqual(done.returncode, 78, done.stderr)
        self.assertIn("cannot write around the page cache (O_DIRECT), which is required", done.stdout + done.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
