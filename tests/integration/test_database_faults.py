"""The database dies, is cut off and comes back: nothing acknowledged is lost, nothing is there twice.

Each test runs a cluster of its own, through scripts/cluster.sh, and load from wellhead-loadgen, which checks every
acknowledged record against the hypertable.
"""

import random
import threading
import time
import unittest

from cluster import Cluster
from load import Load, faults
from proxy import Proxy
from support import DATABASE_URL, WITHOUT_JOURNAL, Database, Node, audit, check_conservation, psql, telemetry, wait_until

RECORDS_PER_SECOND = 4000


class DatabaseFaults:
    """What is the same with a journal and without."""

    config = ""

    def check(self, report, node):
        self.assertGreater(report["acknowledged"], RECORDS_PER_SECOND)
        self.assertEqual(faults(report), {}, report)
        check_conservation(node)
        audit(node)

    def start(self, url):
        node = Node(url, self.config)
        self.addCleanup(node.remove)
        return node.start()

    def load(self, *arguments, **options):
        load = Load(*arguments, **options)
        self.addCleanup(load.remove)
        return load

    def test_backends_killed_at_random(self):
        seed = random.randrange(2**32)
        print(f"seed {seed}", flush=True)
        chance = random.Random(seed)
        database = Database()
        self.addCleanup(database.drop)
        node = self.start(database.url)
        load = self.load(node, database.url, "ndjson", RECORDS_PER_SECOND, seconds=8)
        killed = 0
        for _ in range(20):
            time.sleep(chance.uniform(0.05, 0.6))
            killed += int(psql(DATABASE_URL, "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
                               f"WHERE datname = '{database.name}' AND application_name LIKE 'wellhead/%'")[0][0])
        self.check(load.report(), node)
        self.assertGreater(killed, 10)
        self.assertGreater(node.metric("wellhead_shard_disconnects_total"), 5)
        node.terminate()

    def test_the_server_crashes_and_comes_back(self):
        cluster = Cluster()
        self.addCleanup(cluster.remove)
        node = self.start(cluster.url)
        for protocol in ("ndjson", "http"):
            load = self.load(node, cluster.url, protocol, RECORDS_PER_SECOND, seconds=8)
            time.sleep(2)
            cluster.kill()
            wait_until(lambda: node.admin("/health/ready").json["status"] == self.status_without_database, "the node sees that it is gone")
            self.assertEqual(node.admin("/health/live").status, 200)
            self.assert_how_records_are_met(node)
            cluster.start()
            self.check(load.report(), node)
            wait_until(node.is_ready, "ready again")
        node.terminate()

    def test_commits_whose_answer_is_cut_off_are_neither_lost_nor_repeated(self):
        database = Database()
        self.addCleanup(database.drop)
        proxy = CuttingProxy(database.url)
        self.addCleanup(proxy.stop)
        node = Node(database.url, self.config)
        self.addCleanup(node.remove)
        node.environment["WELLHEAD_DATABASE_URL"] = proxy.url
        node.start()
        load = self.load(node, database.url, "ndjson", RECORDS_PER_SECOND)
        for _ in range(12):
            time.sleep(0.4)
            proxy.swallow_next_answer()
            wait_until(lambda: not proxy.armed.is_set(), "an answer is cut off")
        load.stop()
        self.check(load.report(), node)
        self.assertGreaterEqual(proxy.cuts, 12)
        node.terminate()


class WithJournal(DatabaseFaults, unittest.TestCase):
    status_without_database = "degraded"

    def assert_how_records_are_met(self, node):
        self.assertEqual(node.admin("/health/ready").status, 200)
        self.assertEqual(node.post("telemetry", telemetry("x")).status, 200)
        reply = node.post("telemetry", telemetry("x"), {"Ack": "commit"})
        self.assertEqual(reply.status, 503)
        self.assertGreaterEqual(int(reply.headers["Retry-After"]), 1)


class WithoutJournal(DatabaseFaults, unittest.TestCase):
    config = WITHOUT_JOURNAL
    status_without_database = "not_ready"

    def assert_how_records_are_met(self, node):
        self.assertEqual(node.admin("/health/ready").status, 503)
        self.assertEqual(node.post("telemetry", telemetry("x")).status, 503)


class CuttingProxy(Proxy):
    """Now and then lets a commit through, but not its answer."""

    def __init__(self, server_url):
        super().__init__(server_url)
        self.armed = threading.Event()
        self.cuts = 0

    def swallow_next_answer(self):
        self.armed.set()

    def passes(self, data, from_server):
        # The tag of the command that ended the transaction: the server has committed when it says this.
        if not from_server or not self.armed.is_set() or b"COMMIT\0" not in data:
            return True
        self.armed.clear()
        self.cuts += 1
        return False


if __name__ == "__main__":
    unittest.main(verbosity=2)
