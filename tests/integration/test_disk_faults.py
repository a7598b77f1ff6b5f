"""The journal's disk runs full, refuses writes, turns read-only: what was acknowledged before is kept, and nothing more is
acknowledged until somebody has helped.

The file systems are small ones made for the test, which takes root; without it, or where mounting is forbidden, these tests are
skipped, and say so.
"""

import pathlib
import signal
import subprocess
import tempfile
import unittest

from cluster import Cluster
from load import Load, faults
from support import Database, Node, audit, check_conservation, telemetry, wait_until

RECORDS_PER_SECOND = 4000

SMALL_SEGMENTS = """
journal.segment_bytes = "1MiB"
journal.block_bytes_max = "1020KiB"
journal.keep_bytes = "0B"
journal.keep_time = "0ms"
journal.free_bytes_min = "0B"
"""


def command(*arguments):
    return subprocess.run(arguments, capture_output=True, text=True, timeout=60, check=False)


class DiskFault(unittest.TestCase):
    """A node whose journal lies on a disk that can be made to fail."""

    def make_database(self):
        database = Database()
        self.addCleanup(database.drop)
        return database

    def setUp(self):
        self.database = self.make_database()

    def make_node(self, journal, config=SMALL_SEGMENTS):
        self.node = Node(self.database.url, config)
        self.addCleanup(self.node.remove)
        self.node.configure(journal_dir=str(journal))
        return self.node

    def mount(self, *arguments):
        """Mounts at a new folder, which it returns."""
        folder = tempfile.mkdtemp(prefix="wellhead-disk-", dir="/var/tmp")
        self.addCleanup(lambda: pathlib.Path(folder).rmdir())
        done = command("mount", *arguments, folder)
        if done.returncode != 0:
            self.skipTest(f"file systems cannot be mounted here: {done.stderr.strip()}")
        self.addCleanup(lambda: command("umount", "--lazy", folder))
        return pathlib.Path(folder)

    def start_load(self, protocol="ndjson"):
        self.load = Load(self.node, self.database.url, protocol, RECORDS_PER_SECOND)
        self.addCleanup(self.load.remove)
        wait_until(lambda: self.acknowledged() > RECORDS_PER_SECOND, "the load is on its way")

    def acknowledged(self):
        return self.load.status()["acknowledged"]

    def assert_nothing_is_taken(self, state):
        wait_until(lambda: self.node.metric(f"wellhead_journal_{state}") > 0, f"the journal is {state}")
        reply = self.node.post("telemetry", telemetry("late"))
        self.assertEqual(reply.status, 503, reply.text)
        self.assertGreaterEqual(int(reply.headers["Retry-After"]), 1)
        self.assertEqual(self.node.admin("/health/live").status, 200)
        ready = self.node.admin("/health/ready")
        self.assertEqual(ready.status, 503)
        self.assertEqual(ready.json["journal"]["state"], state)
        self.assertTrue(ready.json["journal"]["problem"].endswith("."), ready.text)

    def assert_goes_on(self):
        before = self.acknowledged()
        wait_until(lambda: self.acknowledged() > before + RECORDS_PER_SECOND, "records are acknowledged again")
        wait_until(self.node.is_ready, "ready again")

    def finish(self):
        self.load.stop()
        report = self.load.report()
        self.assertEqual(faults(report), {}, report)
        check_conservation(self.node)
        audit(self.node)
        self.node.terminate()
        return report


class FullDisk(DiskFault):
    def make_database(self):
        cluster = Cluster()
        self.addCleanup(cluster.remove)
        return cluster

    def test_a_full_disk_stops_acknowledging_until_there_is_room(self):
        disk = self.mount("-t", "tmpfs", "-o", "size=48m,mode=0700", "none")
        self.make_node(disk / "journal").start()
        self.start_load()
        self.database.stop()  # so that no segment comes free to be used again
        hog = disk / "hog"
        with open(hog, "wb") as file:  # somebody else's file takes all there is
            with self.assertRaises(OSError):
                while True:
                    file.write(bytes(1 << 20))
                    file.flush()
        self.assert_nothing_is_taken("full")
        hog.unlink()
        self.database.start()
        self.assert_goes_on()
        self.finish()


class RefusedWrites(DiskFault):
    def test_a_failed_write_latches_the_journal_until_hup(self):
        journal = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory(dir="/var/tmp"))) / "journal"
        self.make_node(journal, config="").start()  # with segments so large that none is full meanwhile
        self.start_load()
        segments = [str(path) for path in (journal / "segments").iterdir()]
        self.immutable("+i", segments)
        self.addCleanup(self.immutable, "-i", segments)
        self.assert_nothing_is_taken("latched")
        self.immutable("-i", segments)
        self.node.process.send_signal(signal.SIGHUP)
        self.assert_goes_on()
        self.finish()

    def immutable(self, flag, files):
        existing = [file for file in files if pathlib.Path(file).exists()]
        done = command("chattr", flag, *existing)
        if done.returncode != 0:
            self.skipTest(f"files cannot be made immutable here: {done.stderr.strip()}")


class ReadOnlyDisk(DiskFault):
    def test_a_file_system_that_turns_read_only_loses_nothing_that_was_acknowledged(self):
        image = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory(dir="/var/tmp"))) / "image"
        with open(image, "wb") as file:
            file.truncate(128 << 20)
        made = command("mkfs.ext4", "-q", str(image))
        if made.returncode != 0:
            self.skipTest(f"no ext4 can be made here: {made.stderr.strip()}")
        disk = self.mount("-o", "loop,errors=remount-ro", str(image))
        disk.chmod(0o700)
        self.make_node(disk / "journal").start()
        self.start_load()
        device = pathlib.Path(command("findmnt", "-no", "SOURCE", str(disk)).stdout.strip()).name
        pathlib.Path("/sys/fs/ext4", device, "trigger_fs_error").write_text("the kernel found an error")
        self.assert_nothing_is_taken("latched")
        self.node.terminate()
        command("umount", str(disk))
        command("fsck.ext4", "-p", "-f", str(image))
        self.assertEqual(command("mount", "-o", "loop", str(image), str(disk)).returncode, 0)
        self.node.start()
        self.assert_goes_on()
        self.finish()


if __name__ == "__main__":
    unittest.main(verbosity=2)
