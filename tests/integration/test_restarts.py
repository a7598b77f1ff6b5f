"""What may change between two runs of a node, and what must not: the journal outlives the former and refuses the latter."""

import unittest

from cluster import Cluster
from load import Load, faults
from support import Database, Node, audit, check_conservation, ndjson, telemetry, wait_until

RECORDS = 3000

SMALL_JOURNAL = """
journal.segment_bytes = "1MiB"
journal.block_bytes_max = "1020KiB"
pipeline.batch_bytes = "128KiB"
"""


class RestartTest(unittest.TestCase):
    def start(self, url, **settings):
        node = Node(url, **settings)
        self.addCleanup(node.remove)
        return node.start()

    def cluster(self):
        """A database to be stopped and started."""
        cluster = Cluster()
        self.addCleanup(cluster.remove)
        return cluster

    def send(self, node, prefix, count=RECORDS, per_request=100):
        """Records that the node acknowledges, one device each."""
        for first in range(0, count, per_request):
            records = [telemetry(f"{prefix}-{number}", rpm=1) for number in range(first, first + per_request)]
            reply = node.post("telemetry", ndjson(records), {"Content-Type": "application/x-ndjson"})
            self.assertEqual((reply.status, reply.json["accepted"]), (200, per_request), reply.text)

    def assert_each_is_there_once(self, database, prefix, count=RECORDS):
        rows = database.query("SELECT count(*), count(DISTINCT device_id) FROM telemetry "
                              f"WHERE device_id LIKE '{prefix}-%'")[0]
        self.assertEqual([int(value) for value in rows], [count, count])

    def wait_until_drained(self, node, database, prefix):
        wait_until(lambda: int(database.value(f"SELECT count(*) FROM telemetry WHERE device_id LIKE '{prefix}-%'")) >= RECORDS,
                   "all rows are in the table")
        wait_until(lambda: node.metric("wellhead_records_queued") == 0, "nothing is queued")


class CountsChange(RestartTest):
    def test_rows_of_other_shards_and_reactors_are_written_once(self):
        database = self.cluster()
        node = self.start(database.url, server_reactors=2, server_shards=3)
        self.send(node, "first")
        database.stop()
        self.send(node, "second")
        node.kill()
        for reactors, shards, prefix in ((1, 1, "third"), (1, 5, "fourth")):
            node.configure(server_reactors=reactors, server_shards=shards)
            node.start(ready=False)
            self.send(node, prefix)
            node.kill()
        node.configure(server_reactors=2, server_shards=2)
        node.start(ready=False)
        database.start()
        for prefix in ("first", "second", "third", "fourth"):
            self.wait_until_drained(node, database, prefix)
            self.assert_each_is_there_once(database, prefix)
        check_conservation(node)
        audit(node)
        node.terminate()
        for prefix in ("first", "second", "third", "fourth"):
            self.assert_each_is_there_once(database, prefix)


class Termination(RestartTest):
    def test_with_the_database_away_the_rows_are_kept_for_the_next_start(self):
        database = self.cluster()
        node = self.start(database.url)
        database.stop()
        self.send(node, "kept")
        node.terminate()
        node.start(ready=False)
        database.start()
        self.wait_until_drained(node, database, "kept")
        self.assert_each_is_there_once(database, "kept")
        check_conservation(node)
        audit(node)
        node.terminate()

    def test_a_node_starts_and_takes_records_before_it_ever_saw_its_database(self):
        database = self.cluster()
        node = Node(database.url)
        self.addCleanup(node.remove)
        database.stop()
        node.start(ready=False)
        self.send(node, "early")
        database.start()
        self.wait_until_drained(node, database, "early")
        self.assert_each_is_there_once(database, "early")
        node.terminate()


class TwoNodes(RestartTest):
    def test_two_nodes_share_a_database_without_a_trace_of_each_other(self):
        database = Database()
        self.addCleanup(database.drop)
        nodes = [self.start(database.url, node_id=name) for name in ("north", "south")]
        loads = []
        for node in nodes:
            loads.append(Load(node, database.url, "ndjson", 2000))
            self.addCleanup(loads[-1].remove)
        for _ in range(4):
            goal = loads[0].status()["acknowledged"] + 1000
            wait_until(lambda: loads[0].status()["acknowledged"] > goal, "the load goes on")
            nodes[0].kill()
            nodes[0].start()
        for node, load in zip(nodes, loads):
            load.stop()
            report = load.report()
            self.assertEqual(faults(report), {}, report)
            self.assertGreater(report["acknowledged"], 2000)
            check_conservation(node)
            audit(node)
            node.terminate()


class Refusals(RestartTest):
    """Each is one sentence, the exit code says configuration or failure, and the journal is as it was."""

    def setUp(self):
        self.database = Database()
        self.addCleanup(self.database.drop)
        self.node = self.start(self.database.url, config=SMALL_JOURNAL)
        self.send(self.node, "before", 100)

    def refused(self, node):
        """The sentence with which a node refuses to start."""
        untouched = None if self.node.process.poll() is None else self.files()
        done = node.run("serve")
        self.assertNotEqual(done.returncode, 0, done.stdout + done.stderr)
        if untouched is not None:
            self.assertEqual(self.files(), untouched, "a refused start must not touch the journal")
        errors = [line for line in (done.stdout + done.stderr).splitlines() if '"level":"error"' in line or not line.startswith("{")]
        self.assertEqual(len(errors), 1, errors)
        return errors[0]

    def files(self):
        return {path.relative_to(self.node.journal): path.read_bytes() for path in self.node.journal.rglob("*") if path.is_file()}

    def another(self, **settings):
        """A second node on the first one's journal."""
        node = Node(self.database.url, SMALL_JOURNAL, migrate=False, **settings)
        self.addCleanup(node.remove)
        node.configure(journal_dir=str(self.node.journal))
        return node

    def test_a_second_process_on_the_same_journal(self):
        self.assertIn("Another process", self.refused(self.another()))
        self.send(self.node, "after", 100)
        self.node.terminate()
        self.assert_each_is_there_once(self.database, "after", 100)

    def test_the_journal_of_another_node(self):
        self.node.terminate()
        sentence = self.refused(self.another(node_id="somebody-else"))
        self.assertIn("test", sentence)
        self.assertIn("somebody-else", sentence)

    def test_a_journal_that_others_may_write(self):
        self.node.terminate()
        self.node.journal.chmod(0o777)
        self.assertIn("chmod", self.refused(self.another()))
        self.node.journal.chmod(0o700)
        self.node.start()
        self.node.terminate()


if __name__ == "__main__":
    unittest.main(verbosity=2)
