"""The doctor and the report of the database, beside a real node, on the machine as it is."""

import json
import time
import unittest
import urllib.parse

from support import Database, Node, NodeTest, psql, wait_until

LEVELS = {"ok", "advice", "warning", "problem"}


def stamp():
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def findings(done):
    """What the doctor found; its exit code and its counts must say the same."""
    found = json.loads(done.stdout)
    levels = [one["level"] for one in found["findings"]]
    assert set(levels) <= LEVELS, levels
    assert done.returncode == (1 if "problem" in levels else 0), (done.returncode, done.stdout)
    assert (found["problems"], found["warnings"]) == (levels.count("problem"), levels.count("warning"))
    for one in found["findings"]:
        assert one["seen"], one
        assert (one["level"] == "ok") == (not one["fix"]) == (not one["reason"]), one
    return found["findings"]


def of(found, area, subject):
    return [one for one in found if one["area"] == area and one["subject"] == subject]


class Doctor(NodeTest):
    def test_beside_a_running_node_it_finds_no_problem_and_leaves_nothing(self):
        before = sorted(path.name for path in self.node.journal.iterdir())
        found = findings(self.node.run("doctor", "--json"))
        self.assertFalse([one for one in found if one["level"] == "problem"])
        self.assertEqual(of(found, "machine", "io_uring")[0]["level"], "ok")
        self.assertIn("a durable write of 64 KiB takes", of(found, "journal", "disk latency")[0]["seen"])
        self.assertEqual(of(found, "database", "migrations")[0]["level"], "ok")
        self.assertEqual(of(found, "database", "streams")[0]["level"], "ok")
        self.assertEqual(sorted(path.name for path in self.node.journal.iterdir()), before)
        text = self.node.run("doctor", check=True).stdout
        self.assertIn("0 problems", text)

    def test_a_role_without_rights_is_told_which_it_needs(self):
        role = self.database.name + "_guest"
        address = urllib.parse.urlsplit(self.database.url)
        psql(self.database.url, f"CREATE ROLE {role} LOGIN PASSWORD '{address.password}'")
        self.addCleanup(psql, self.database.url, f"DROP OWNED BY {role}; DROP ROLE {role}")
        url = urllib.parse.urlunsplit(
            address._replace(netloc=f"{role}:{address.password}@{address.hostname}:{address.port}"))
        guest = Node(url, migrate=False)
        self.addCleanup(guest.remove)
        found = findings(guest.run("doctor", "--json"))
        fixes = [one["fix"] for one in of(found, "database", "streams")]
        self.assertIn(f'GRANT INSERT ON "telemetry" TO "{role}";', fixes)
        self.assertEqual(of(found, "database", "rights to look")[0]["fix"], f'GRANT pg_monitor TO "{role}"; -- as a superuser')
        report = guest.run("report", "database", "--json", check=True)
        self.assertIsNone(json.loads(report.stdout)["tables"])
        self.assertIn("permission denied", " ".join(json.loads(report.stdout)["problems"]))

    def test_the_report_tells_of_the_running_node_and_the_metrics_tell_the_same(self):
        self.node.post("telemetry", [{"timestamp": stamp(), "device_id": f"well-{number}"} for number in range(100)])
        report = json.loads(self.node.run("report", "database", "--json", check=True).stdout)
        self.assertEqual(report["problems"], [])
        self.assertEqual(report["overview"]["database_name"], self.database.name)
        table = next(one for one in report["tables"] if one["table_name"] == "telemetry")
        self.assertGreater(table["total_bytes"], 0)
        self.assertEqual([shard["shard"] for shard in report["shards"]], ["0", "1"])
        self.assertEqual({lane["node_id"] for lane in report["lanes"]}, {"test"})
        self.assertEqual(len(report["aggregates"]), 3)
        wait_until(lambda: self.node.metric("wellhead_database_bytes") > 0, "the node has asked its database")
        self.assertEqual(self.node.metric("wellhead_database_report_failures_total"), 0)
        self.assertGreater(self.node.metric("wellhead_database_table_bytes", table="wellhead_lifecycle"), 0)
        self.assertLess(len([name for name in self.node.metrics() if name.startswith("wellhead_database_")]), 1000)


class WithoutADatabase(unittest.TestCase):
    def test_a_database_that_is_away_or_not_migrated_is_a_finding(self):
        node = Node("postgresql://nobody@127.0.0.1:1/nothing", migrate=False)
        self.addCleanup(node.remove)
        found = findings(node.run("doctor", "--json"))
        self.assertEqual(of(found, "database", "connection")[0]["level"], "problem")
        self.assertEqual(of(found, "journal", "directory")[0]["level"], "advice")
        offline = findings(node.run("doctor", "--json", "--offline"))
        self.assertEqual(of(offline, "database", "connection")[0]["level"], "ok")
        self.assertEqual(node.run("report", "database").returncode, 1)
        self.assertEqual(node.run("doctor", "--nonsense").returncode, 64)
        node.config = "nonsense = 1\n"
        node.configure()
        self.assertEqual(node.run("doctor").returncode, 78)

    def test_a_database_without_tables_is_told_what_makes_them(self):
        database = Database()
        self.addCleanup(database.drop)
        node = Node(database.url, migrate=False)
        self.addCleanup(node.remove)
        found = findings(node.run("doctor", "--json"))
        self.assertIn("0001_progress (pending)", of(found, "database", "migrations")[0]["seen"])
        self.assertEqual(of(found, "database", "streams")[0]["level"], "problem")
        report = node.run("report", "database")
        self.assertEqual(report.returncode, 1)
        self.assertIn("Run `wellhead migrate up`", report.stderr)


if __name__ == "__main__":
    unittest.main()
