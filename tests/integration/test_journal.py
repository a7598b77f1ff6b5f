"""The journal over a changed configuration, and the commands that read it: rows mean what they meant when they were taken."""

import json
import pathlib
import unittest

from cluster import Cluster
from support import Node, check_conservation, ndjson, stamp, telemetry, wait_until

RECORDS = 300

SMALL_SEGMENTS = """
journal.segment_bytes = "1MiB"
journal.block_bytes_max = "1020KiB"
"""


def stream(name, table, value_type="bigint"):
    """A stream of the configuration: a device, a time and a value."""
    columns = (("pump", "text"), ("at", "timestamptz"), ("value", value_type))
    text = f'\n[streams.{name}]\ntable = "{table}"\ndevice = "pump"\ntime = "at"\n'
    return text + "".join(f'[[streams.{name}.columns]]\nname = "{column}"\ntype = "{kind}"\n' for column, kind in columns)


class ChangedStreams(unittest.TestCase):
    def setUp(self):
        self.database = Cluster()
        self.addCleanup(self.database.remove)
        self.node = Node(self.database.url, SMALL_SEGMENTS + stream("left", "site_left") + stream("right", "site_right"))
        self.addCleanup(self.node.remove)
        for table in ("site_left", "site_right"):
            self.database.query(f"CREATE TABLE {table} (pump text NOT NULL, at timestamptz NOT NULL, value bigint)")

    def send(self, name, first):
        records = [{"pump": f"p{first + number}", "at": stamp(), "value": first + number} for number in range(RECORDS)]
        reply = self.node.post(name, ndjson(records), {"Content-Type": "application/x-ndjson"})
        self.assertEqual((reply.status, reply.json["accepted"]), (200, RECORDS), reply.text)

    def values(self, table):
        return sorted(int(row[0]) for row in self.database.query(f"SELECT value FROM {table}"))

    def test_rows_of_streams_that_were_renamed_or_removed_reach_their_tables(self):
        self.database.stop()
        self.node.start(ready=False)
        self.send("left", 0)
        self.send("right", 1000)
        self.node.kill()
        # Another order, another name, and one of them is gone.
        self.node.config = SMALL_SEGMENTS + stream("new", "site_new") + stream("port", "site_left")
        self.node.configure()
        self.node.start(ready=False)
        self.send("port", 2000)
        self.assertEqual(self.node.post("right", {"pump": "p", "at": stamp(), "value": 1}).status, 404)
        self.database.start()
        self.database.query("CREATE TABLE site_new (pump text NOT NULL, at timestamptz NOT NULL, value bigint)")
        wait_until(lambda: self.node.metric("wellhead_records_queued") == 0
                   and self.node.metric("wellhead_records_recovered_total") == 2 * RECORDS, "the journal is committed")
        self.assertEqual(self.values("site_left"), [*range(RECORDS), *range(2000, 2000 + RECORDS)])
        self.assertEqual(self.values("site_right"), list(range(1000, 1000 + RECORDS)))
        self.assertEqual(self.node.metric("wellhead_records_received_total"), RECORDS)
        check_conservation(self.node)
        self.node.terminate()

    def test_a_removed_stream_whose_table_is_gone_holds_up_nobody_when_it_has_no_rows_left(self):
        self.node.start()
        self.send("right", 0)
        wait_until(lambda: self.node.metric("wellhead_records_queued") == 0, "the rows are committed")
        self.node.terminate()
        self.node.config = SMALL_SEGMENTS + stream("left", "site_left")
        self.node.configure()
        self.database.query("DROP TABLE site_right")
        self.node.start()
        self.send("left", 0)
        wait_until(lambda: self.values("site_left") == list(range(RECORDS)), "the other stream is committed")
        self.assertEqual(self.node.admin("/health/ready").json["status"], "ready")
        self.node.terminate()


class JournalCommands(unittest.TestCase):
    """A node without a database, whose journal is looked at when it has stopped."""

    def setUp(self):
        self.node = Node(config=SMALL_SEGMENTS, sink="null")
        self.addCleanup(self.node.remove)

    def write(self):
        self.node.start()
        for number in range(3):
            self.assertEqual(self.node.post("telemetry", telemetry(f"well-{number}", rpm=1)).status, 200)

    def segment(self):
        """The one that the node wrote into."""
        return pathlib.Path(self.node.journal, "segments", "00000001-0000-000000000001.segment")

    def test_a_stopped_nodes_journal_is_described_and_found_whole(self):
        self.write()
        self.node.kill()
        for command in ("inspect", "verify"):
            done = self.node.run("journal", command)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertIn('of node "test"', done.stdout)
            found = json.loads(self.node.run("journal", command, "--json").stdout)
            self.assertEqual((found["node"], found["whole"]), ("test", True))
        self.assertEqual(sum(segment["rows"] for segment in found["segments"]), 3)

    def test_damage_is_named_with_its_file_and_stops_the_start(self):
        self.write()
        self.node.kill()
        # In the payload of the first block: later blocks tell that it was acknowledged.
        with open(self.segment(), "r+b") as file:
            file.seek(4096 + 128 + 40)
            file.write(b"\xff\xff")
        done = self.node.run("journal", "verify")
        self.assertEqual(done.returncode, 1)
        self.assertIn(self.segment().name, done.stdout)
        self.node.launch()
        self.assertEqual(self.node.process.wait(30), 1, self.node.log())
        self.assertIn("1 rows that were acknowledged are lost", self.node.log())
        self.node.configure(journal_accept_damage=True)
        self.node.start()
        self.assertEqual(self.node.metric("wellhead_journal_lost_rows_total"), 1)
        self.node.terminate()

    def test_a_running_nodes_journal_is_left_alone(self):
        self.write()
        for command in ("inspect", "verify"):
            done = self.node.run("journal", command)
            self.assertEqual(done.returncode, 1)
            self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)
            self.assertIn("Another process has the journal open", done.stderr)
        self.node.terminate()

    def test_a_directory_without_a_journal(self):
        done = self.node.run("journal", "inspect", "--dir", "/nowhere/journal")
        self.assertEqual(done.returncode, 1)
        self.assertEqual(done.stderr, "There is no journal in /nowhere/journal: No such file or directory.\n")

    def test_check_looks_at_the_directory(self):
        self.assertIn(f"journal: {self.node.journal} will be made", self.node.run("check").stdout)
        self.write()
        done = self.node.run("check")
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertIn(f"journal: {self.node.journal} is this node's", done.stdout)
        self.node.terminate()
        self.node.configure(node_id="another")
        done = self.node.run("check")
        self.assertEqual(done.returncode, 1)
        self.assertIn('"test"', done.stdout)


if __name__ == "__main__":
    unittest.main(verbosity=2)
