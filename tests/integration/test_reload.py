"""HUP swaps ranges and attributes under a running node; what is wrong or needs a restart leaves the old ones in force."""

import json
import pathlib
import signal
import unittest

from support import Database, Node, audit, check_conservation, stamp, wait_until

UNKNOWN_DEVICE = 16  # the bit of quality_flags

TABLE = """CREATE TABLE well (
  at timestamptz NOT NULL, well text NOT NULL, pressure real, site text, depth real, quality_flags bigint)"""

STREAM = """
[streams.well]
device = "well"
time = "at"
{attributes}
[[streams.well.columns]]
name = "at"
type = "timestamptz"
[[streams.well.columns]]
name = "well"
type = "text"
[[streams.well.columns]]
name = "pressure"
type = "real"
max = {maximum}
out_of_range = "reject"
[[streams.well.columns]]
name = "site"
type = "text"
source = "attribute"
[[streams.well.columns]]
name = "depth"
type = "{depth_type}"
source = "attribute"
attribute = "pump depth"
[[streams.well.columns]]
name = "quality_flags"
type = "bigint"
source = "quality_flags"
"""


class ReloadTest(unittest.TestCase):
    def setUp(self):
        self.database = Database()
        self.addCleanup(self.database.drop)
        self.node = Node(self.database.url, http_ack="commit", ndjson_ack="commit")
        self.addCleanup(self.node.remove)
        self.database.query(TABLE)
        self.csv = pathlib.Path(self.node.folder.name, "devices.csv")

    def configure(self, maximum=100, attributes=None, depth_type="real", **settings):
        if attributes is None:
            attributes = f"attributes.file = {json.dumps(str(self.csv))}"
        self.node.config = STREAM.format(maximum=maximum, attributes=attributes, depth_type=depth_type)
        self.node.configure(**settings)

    def hang_up(self, outcome):
        """HUP, and the reload counted with this outcome."""
        before = self.node.metric("wellhead_reloads_total", outcome=outcome)
        self.node.process.send_signal(signal.SIGHUP)
        wait_until(lambda: self.node.metric("wellhead_reloads_total", outcome=outcome) == before + 1,
                   f"the reload is {outcome}; the log says:\n{self.node.log()}")

    def post(self, well, pressure, second=0):
        return self.node.post("well", {"at": stamp(second), "well": well, "pressure": pressure})

    def row(self, well):
        rows = self.database.query(f"SELECT site, depth, quality_flags & {UNKNOWN_DEVICE} FROM well WHERE well = '{well}' ORDER BY at DESC LIMIT 1")
        return rows[0] if rows else None

    def stop(self):
        check_conservation(self.node)
        audit(self.node)
        self.node.terminate()

    def test_a_changed_range_holds_from_the_next_record_on(self):
        self.csv.write_text("well,site,pump depth\n")
        self.configure(maximum=100)
        self.node.start()
        loaded_at = self.node.metric("wellhead_reload_last_good_timestamp_seconds")
        self.assertGreater(loaded_at, 0)
        refused = self.post("w", 150)
        self.assertEqual((refused.status, refused.json["errors"][0]["field"]), (422, "pressure"), refused.text)
        self.configure(maximum=200)
        self.hang_up("done")
        self.assertEqual(self.post("w", 150).status, 200)
        self.configure(maximum=120)
        self.hang_up("done")
        refused = self.post("w", 150)
        self.assertEqual((refused.status, refused.json["errors"][0]["field"]), (422, "pressure"), refused.text)
        self.assertGreaterEqual(self.node.metric("wellhead_reload_last_good_timestamp_seconds"), loaded_at)
        self.stop()

    def test_what_is_wrong_or_needs_a_restart_leaves_the_old_rules_in_force(self):
        self.csv.write_text("well,site,pump depth\nw,north,1000\n")
        self.configure(maximum=100)
        self.node.start()
        self.configure(maximum='"high"')
        self.hang_up("refused")
        self.assertRegex(self.node.log(), r"wellhead\.toml:\d+:\d+: streams\.well\.columns\[2\]\.max must be a number")
        self.configure(maximum=200)
        self.csv.write_text('well,site,pump depth\nw,"north,1000\n')
        self.hang_up("refused")
        self.assertIn("devices.csv:2: A field's opening quote is never closed.", self.node.log())
        self.csv.write_text("well,site,pump depth\nw,south,deep\n")
        self.hang_up("refused")
        self.assertRegex(self.node.log(), r'devices\.csv:2: The attribute \\"pump depth\\" = \\"deep\\" is not a number')
        self.csv.write_text("well,site,pump depth\nw,south,1000\n")
        self.configure(maximum=200, depth_type="double")
        self.hang_up("needs_restart")
        self.assertRegex(self.node.log(), r'wellhead\.toml:\d+:\d+: streams\.well has column \\"depth\\" as double, not real\.')
        self.configure(maximum=200, flush_linger="7ms")
        self.hang_up("needs_restart")
        self.assertRegex(self.node.log(), r"wellhead\.toml:\d+:\d+: flush\.linger is changed")
        self.assertEqual(self.post("w", 150).status, 422)
        self.assertEqual(self.post("w", 50).status, 200)
        self.assertEqual(self.row("w"), ["north", "1000", "0"])
        self.assertEqual(self.node.metric("wellhead_reloads_total", outcome="done"), 0)
        self.stop()

    def test_attributes_of_a_file_are_in_the_rows_and_an_unknown_device_is_flagged(self):
        self.csv.write_text('well,site,pump depth,note\nw-1,"north, ""1""",2150.5,x\nw-2,,,\n')
        self.configure()
        self.assertIn("attributes: stream well: 2 devices", self.node.run("check", "--offline", check=True).stdout)
        self.node.start()
        for well in ("w-1", "w-2", "w-3"):
            self.assertEqual(self.post(well, 1).status, 200)
        self.assertEqual(self.row("w-1"), ['north, "1"', "2150.5", "0"])
        self.assertEqual(self.row("w-2"), ["", "", "0"])
        self.assertEqual(self.row("w-3"), ["", "", str(UNKNOWN_DEVICE)])
        self.assertEqual(self.node.metric("wellhead_attributes_devices", stream="well"), 2)
        self.csv.write_text("well,site,pump depth\nw-3,east,3\n")
        self.hang_up("done")
        for well in ("w-1", "w-3"):
            self.assertEqual(self.post(well, 1, second=1).status, 200)
        self.assertEqual(self.row("w-1"), ["", "", str(UNKNOWN_DEVICE)])
        self.assertEqual(self.row("w-3"), ["east", "3", "0"])
        self.stop()

    def test_a_broken_file_stops_the_start(self):
        self.csv.write_text("well,site,pump depth\nw,north,1\nw,north\n")
        self.configure()
        for command in (("check", "--offline"), ("serve",)):
            done = self.node.run(*command)
            self.assertEqual(done.returncode, 78, done.stdout + done.stderr)
            self.assertIn("devices.csv:3: The line has 2 fields, and the header line has 3.", done.stderr)

    def test_attributes_of_a_query_are_asked_for_again_and_survive_a_restart_without_the_database(self):
        self.database.query("CREATE TABLE pump (id text, site text, depth double precision)")
        self.database.query("INSERT INTO pump VALUES ('w-1', 'north', 12.5), ('w-2', NULL, NULL)")
        query = 'attributes.query = "SELECT id, site, depth AS \\"pump depth\\" FROM pump; "\nattributes.device = "id"\n'
        self.configure(attributes=query + 'attributes.refresh = "1s"')
        self.assertIn("the query tells of 2 devices", self.node.run("check").stdout)
        self.node.start()
        devices = lambda: self.node.metric("wellhead_attributes_devices", stream="well")
        wait_until(lambda: devices() == 2, "the query was asked")
        self.assertEqual(self.post("w-1", 1).status, 200)
        self.assertEqual(self.row("w-1"), ["north", "12.5", "0"])
        self.database.query("INSERT INTO pump VALUES ('w-3', 'east', 1)")
        wait_until(lambda: devices() == 3, "the query was asked again")
        saved = self.node.journal / "attributes" / "well.csv"
        wait_until(lambda: saved.exists() and "w-3" in saved.read_text(), "the table is saved")
        self.stop()
        # The database is away: what was saved is used, and the rows wait in the journal.
        url = self.node.environment["WELLHEAD_DATABASE_URL"]
        self.node.environment["WELLHEAD_DATABASE_URL"] = "postgresql://nobody@127.0.0.1:1/none"
        self.configure(attributes=query, http_ack="journal", server_drain_timeout="1s")
        self.node.start(ready=False)
        self.assertEqual(devices(), 3)
        self.assertEqual(self.node.metric("wellhead_attributes_loaded_timestamp_seconds", stream="well"), 0)
        self.assertEqual(self.post("w-3", 1, second=2).status, 200)
        wait_until(lambda: self.node.metric("wellhead_attributes_failures_total") > 0, "the query fails")
        self.node.terminate()
        self.node.environment["WELLHEAD_DATABASE_URL"] = url
        self.node.start()
        wait_until(lambda: self.row("w-3"), "the row came from the journal")
        self.assertEqual(self.row("w-3"), ["east", "1", "0"])
        self.stop()


if __name__ == "__main__":
    unittest.main()
