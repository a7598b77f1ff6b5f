"""From the Apache edition of TimescaleDB to the Community edition as one `migrate up`, and back: on a server of its own, whose
license is changed by a restart. Skipped where the installed TimescaleDB has no Community edition in it."""

import unittest

from cluster import Cluster
from support import Node

VIEWS = ("telemetry_1min", "telemetry_1hour", "telemetry_daily")


class EditionsTest(unittest.TestCase):
    def setUp(self):
        self.cluster = Cluster()
        self.addCleanup(self.cluster.remove)
        self.cluster.query("CREATE EXTENSION IF NOT EXISTS timescaledb")
        if self.cluster.value("SHOW timescaledb.license") != "timescale":
            self.skipTest("the installed TimescaleDB is of the Apache edition")
        self.use_license("apache")
        self.node = Node(self.cluster.url, maintenance_enabled=False)
        self.addCleanup(self.node.remove)

    def use_license(self, edition):
        self.cluster.stop()
        self.cluster.call("start", f"timescaledb.license={edition}")

    def migrate(self, *arguments):
        return self.node.run("migrate", *arguments, check=True).stdout

    def insert_history(self, device, days_ago):
        """A day of readings, every ten minutes; whole days, so that all their buckets are due."""
        self.cluster.query(
            "INSERT INTO telemetry (timestamp, device_id, temperature, vibration) SELECT date_trunc('day', now(), 'UTC') "
            f"- interval '{days_ago} days' + n * interval '10 minutes', '{device}', n % 40 * 0.25, 0.5 "
            "FROM generate_series(0, 143) AS n")

    def expect_row_for_row(self):
        for view in VIEWS:
            direct = self.cluster.value(f"SELECT replace(wellhead_aggregate_query('{view}'), E'\\n', ' ')")
            self.assertNotEqual(self.cluster.value(f"SELECT count(*) FROM {view}"), "0", view)
            self.assertEqual(self.cluster.value(
                f"SELECT count(*) FROM ((TABLE {view} EXCEPT ALL ({direct})) UNION ALL (({direct}) EXCEPT ALL TABLE {view})) "
                "AS d"), "0", view)

    def test_the_switch_is_one_migrate_up_and_the_way_back_one_migrate_down(self):
        self.migrate("verify")
        self.insert_history("well-1", 12)
        self.cluster.query("INSERT INTO wellhead_invalidation (source, range_from, range_until) "
                           "SELECT 'telemetry', min(timestamp), max(timestamp) + interval '1 microsecond' FROM telemetry")
        self.node.run("maintain", "--once", check=True)
        computed = self.cluster.value("SELECT count(*) FROM telemetry_1hour")
        self.expect_row_for_row()

        self.use_license("timescale")
        plan = self.migrate("plan")
        self.assertIn("add_continuous_aggregate_policy", plan)
        self.migrate("up")
        self.migrate("verify")
        self.assertEqual(self.cluster.value("SELECT count(*) FROM timescaledb_information.continuous_aggregates"), "3")
        self.assertEqual(self.cluster.value(
            "SELECT count(*) FROM timescaledb_information.jobs WHERE proc_name = 'policy_compression' AND hypertable_name IN "
            "('telemetry', 'esp_telemetry', 'diagnostic_results')"), "3")
        # What the node computed stays beside; what is there is computed anew from the data.
        self.assertEqual(self.cluster.value("SELECT count(*) FROM telemetry_1hour_before"), computed)
        self.expect_row_for_row()
        # A node that was connected before goes on telling, which nobody asks any more.
        self.cluster.query("INSERT INTO wellhead_invalidation (source, range_from, range_until) "
                           "VALUES ('telemetry', now() - interval '1 hour', now())")
        self.assertEqual(self.cluster.value("SELECT count(*) FROM wellhead_invalidation"), "0")
        self.insert_history("well-2", 9)
        self.node.run("maintain", "--once", check=True)
        self.expect_row_for_row()

        self.migrate("down", "--to", "12", "--data-loss")
        self.assertEqual(self.cluster.value("SELECT relkind FROM pg_class WHERE relname = 'telemetry_1hour'"), "r")
        # The Apache edition cannot read what is compressed.
        self.cluster.query("SELECT decompress_chunk(chunk, if_compressed => true) FROM show_chunks('telemetry') AS chunk")
        self.use_license("apache")
        self.node.run("maintain", "--once", check=True)
        self.expect_row_for_row()


if __name__ == "__main__":
    unittest.main()
