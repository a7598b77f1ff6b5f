"""The primary dies while its asynchronous replica is behind, and the replica takes over: nothing acknowledged is missing.

The replica never got the last transactions. The node has them in its journal, sees from the progress row where the new
primary stands, and writes what it lacks.
"""

import time
import unittest
import urllib.parse

from cluster import Cluster
from load import Load, faults
from proxy import Proxy
from support import Node, audit, check_conservation, psql, wait_until

RECORDS_PER_SECOND = 4000


def either_of(*urls):
    """One URL for libpq that finds whichever of the servers takes writes."""
    parts = urllib.parse.urlsplit(urls[0])
    account = parts.netloc.rpartition("@")[0]
    hosts = ",".join(urllib.parse.urlsplit(url).netloc.rpartition("@")[2] for url in urls)
    return urllib.parse.urlunsplit(parts._replace(netloc=f"{account}@{hosts}", query="target_session_attrs=read-write&connect_timeout=5"))


class Failover(unittest.TestCase):
    def setUp(self):
        self.primary = Cluster()
        self.addCleanup(self.primary.remove)
        self.node = Node(self.primary.url)
        self.addCleanup(self.node.remove)
        self.proxy = Proxy(self.primary.url)
        self.addCleanup(self.proxy.stop)
        self.replica = Cluster.replica_of(self.primary, self.proxy.url)
        self.addCleanup(self.replica.remove)
        self.url = either_of(self.primary.url, self.replica.url)
        self.node.environment["WELLHEAD_DATABASE_URL"] = self.url
        self.node.start()

    def load(self, protocol):
        load = Load(self.node, self.url, protocol, RECORDS_PER_SECOND / 2, "--verify-timeout", "60")
        self.addCleanup(load.remove)
        return load

    def rows(self, cluster):
        return int(psql(cluster.url, "SELECT count(*) FROM telemetry")[0][0])

    def test_a_replica_that_is_behind_when_promoted_gets_what_it_lacks(self):
        loads = [self.load("http"), self.load("ndjson")]
        wait_until(lambda: self.rows(self.replica) > RECORDS_PER_SECOND, "the replica follows")
        self.proxy.hold()
        time.sleep(3)
        behind = self.rows(self.primary) - self.rows(self.replica)
        self.assertGreater(behind, RECORDS_PER_SECOND, "the replica was to be behind")
        acknowledged = sum(load.status()["acknowledged"] for load in loads)
        self.primary.kill()
        time.sleep(1)  # acknowledging goes on, into the journal
        self.assertGreater(sum(load.status()["acknowledged"] for load in loads), acknowledged)
        self.replica.promote()
        wait_until(lambda: self.rows(self.replica) > acknowledged, "the new primary has caught up")
        for load in loads:
            load.stop()
        for load in loads:
            report = load.report()
            self.assertEqual((faults(report), report["unknown"]), ({}, 0), report)
            self.assertGreater(report["acknowledged"], RECORDS_PER_SECOND)
        self.assertGreaterEqual(self.node.metric("wellhead_shard_rows_rewound_total"), behind)
        check_conservation(self.node)
        audit(self.node)
        self.node.terminate()


if __name__ == "__main__":
    unittest.main(verbosity=2)
