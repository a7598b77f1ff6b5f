"""Aggregates that the node keeps, against direct queries: after load, late data, and the death of the node in between."""

import json
import time
import unittest

from load import Load, faults
from support import Database, Node, audit, check_conservation, ndjson, wait_until

MINUTE, HOUR, DAY = 60, 3600, 86400
NDJSON = {"Content-Type": "application/x-ndjson"}

# Of each view: its buckets and their age when they are computed, what both sides agree on exactly, and sums and averages,
# whose last digits depend on the order of adding. Written apart from the definitions that ship, so that these are tested too.
SAME = {"sample_count": "count(*)", "anomaly_count": "sum(is_anomaly::int)", "max_temperature": "max(temperature)",
        "min_temperature": "min(temperature)", "max_vibration": "max(vibration)"}
NEAR = {"avg_temperature": "avg(temperature)", "avg_vibration": "avg(vibration)", "avg_pressure": "avg(pressure)",
        "avg_flow_rate": "avg(flow_rate)"}
VIEWS = {
    "telemetry_1min": ("minute", 30, {**SAME, "max_pressure": "max(pressure)"},
                       {**NEAR, "stddev_temperature": "stddev_samp(temperature)", "sum_flow_rate": "sum(flow_rate::float8)",
                        "avg_quality_score": "avg(data_quality_score)"}),
    "telemetry_1hour": ("hour", HOUR, SAME, {**NEAR, "p95_vibration": "percentile_cont(0.95) WITHIN GROUP (ORDER BY vibration)"}),
    "telemetry_daily": ("day", DAY, SAME,
                        {**NEAR, "avg_quality_score": "avg(data_quality_score)", "uptime_percent": "count(*) / 14.4"}),
}


def reading(device, at, number):
    return {"timestamp": int(at * 1000), "device_id": device, "temperature": 50 + number % 13, "vibration": 0.1 + number % 7 / 10,
            "pressure": 1000 + number % 17, "flow_rate": 900 + number % 11}


def history(devices, begin, end, step):
    """Readings of each device from `begin` on, in seconds since 1970, every `step` seconds."""
    return [reading(f"well-{device}", at + device, int(at) // step + device)
            for at in range(int(begin), int(end), step) for device in range(devices)]


class AggregatesTest(unittest.TestCase):
    def setUp(self):
        self.database = Database()
        self.addCleanup(self.database.drop)
        self.node = Node(self.database.url, maintenance_enabled=False)
        self.addCleanup(self.node.remove)
        if self.database.value("SELECT relkind FROM pg_class WHERE oid = to_regclass('telemetry_1min')") == "v":
            self.skipTest("this server computes its aggregates itself")
        self.node.start()

    def send(self, records, per_request=500):
        for first in range(0, len(records), per_request):
            part = records[first:first + per_request]
            reply = self.node.post("telemetry", ndjson(part), NDJSON)
            self.assertEqual((reply.status, reply.json["accepted"]), (200, len(part)), reply.text)

    def rows(self):
        return int(self.database.value("SELECT count(*) FROM telemetry"))

    def wait_for_rows(self, count):
        wait_until(lambda: self.rows() >= count, f"{count} rows are in the table")
        self.assertEqual(self.rows(), count)

    def maintain(self):
        """What is due, done by the command, at a moment that is returned: seconds since 1970."""
        before = time.time()
        done = self.node.run("maintain", "--once", "--json", check=True)
        self.refreshed = json.loads(done.stdout)
        return before

    def compute_the_newest_too(self):
        """As if a month had passed: every bucket is due, those of rows that just came as well."""
        for view in VIEWS:
            while self.database.query(f"SELECT * FROM wellhead_refresh('{view}', true, now() + interval '31 days')"):
                pass

    def differences(self, view, until):
        """Buckets that end by `until` and are in one of view and direct query alone, or differ; and how many are right."""
        unit, age, exact, near = VIEWS[view]
        direct = ", ".join(f"{expression} AS {column}" for column, expression in {**exact, **near}.items())
        right = " AND ".join(
            [f"kept.{column} IS NOT DISTINCT FROM direct.{column}" for column in exact] +
            [f"coalesce(abs(kept.{column} - direct.{column}) <= 1e-6 * greatest(1, abs(direct.{column})), "
             f"kept.{column} IS NULL AND direct.{column} IS NULL)" for column in near])
        due = f"bucket + interval '1 {unit}' <= to_timestamp({until - age})"
        row = self.database.query(
            f"SELECT count(*) FILTER (WHERE ({right}) IS NOT TRUE), count(*) FILTER (WHERE {right}) "
            f"FROM (SELECT * FROM {view} WHERE {due}) AS kept FULL JOIN (SELECT * FROM (SELECT date_trunc('{unit}', timestamp, 'UTC') "
            f"AS bucket, device_id, {direct} FROM telemetry GROUP BY 1, 2) AS every WHERE {due}) AS direct USING (bucket, device_id)")
        return [int(value) for value in row[0]]

    def assert_right(self, until, at_least):
        for view, least in zip(VIEWS, at_least):
            wrong, right = self.differences(view, until)
            self.assertEqual(wrong, 0, f"{view}: {wrong} buckets differ, {right} do not")
            self.assertGreaterEqual(right, least, view)

    def test_they_are_what_a_direct_query_says_also_of_late_data(self):
        now = time.time()
        today = int(now - now % DAY)
        # Three devices over eight hours of two days ago.
        first = history(3, today - 2 * DAY, today - 2 * DAY + 8 * HOUR, 20)
        self.send(first)
        self.wait_for_rows(len(first))
        self.assertEqual(self.differences("telemetry_1min", now)[1], 0)
        self.assert_right(self.maintain(), (3 * 8 * 60, 3 * 8, 3))

        # Late rows of buckets that are there, of devices that are new to them, and of days that nobody has spoken of.
        late = [reading(f"well-{number % 5}", today - 2 * DAY + number * 2503 + 0.5, 10_000 + number) for number in range(40)]
        late += history(2, today - 20 * DAY + HOUR, today - 20 * DAY + 2 * HOUR, 30)
        late += [reading("well-far", today - 9 * DAY - 0.001, 1), reading("well-far", today - 9 * DAY, 2)]
        self.send(late)
        self.wait_for_rows(len(first) + len(late))
        for view in VIEWS:
            self.assertGreater(self.differences(view, now)[0], 0, f"{view} cannot know of the late rows yet")
        self.assert_right(self.maintain(), (3 * 8 * 60 + 2 * 60, 3 * 8 + 2, 5))

        # Nothing is left to do, and nothing that was not touched is computed again.
        self.assertEqual(self.database.value("SELECT count(*) FROM wellhead_invalidation"), "0")
        self.maintain()
        self.assertEqual(sum(refresh["rows"] for refresh in self.refreshed["refreshes"]), 0)
        check_conservation(self.node)
        audit(self.node)
        self.node.terminate()

    def test_refused_rows_and_streams_without_aggregates_do_no_harm(self):
        # The node does not know of it, so the database refuses, and the flush is salvaged.
        self.database.query("ALTER TABLE telemetry ADD CHECK (rpm IS DISTINCT FROM 13)")
        begin = time.time() - 3 * HOUR
        records = history(2, begin, begin + 10 * MINUTE, 30)
        bad = [{**reading("well-0", begin + 5 * HOUR / 100, 1), "rpm": 13}, {**reading("bad", begin - 40 * MINUTE, 1), "rpm": 13}]
        reply = self.node.post("telemetry", ndjson(records + bad), NDJSON)
        self.assertEqual(reply.status, 200, reply.text)
        reply = self.node.post("esp_telemetry", {"id": 1, "timestamp": int(begin * 1000), "well_id": "well-1", "pip": 900})
        self.assertEqual(reply.status, 200, reply.text)
        wait_until(lambda: self.database.value("SELECT count(*) FROM esp_telemetry") == "1", "the other stream's row is there")
        self.wait_for_rows(len(records))
        self.assertEqual(self.database.value("SELECT DISTINCT source FROM wellhead_invalidation"), "telemetry")
        self.assert_right(self.maintain(), (2 * 10, 2, 0))
        self.assertEqual(self.database.value("SELECT count(*) FROM telemetry_1min WHERE device_id = 'bad'"), "0")
        self.node.terminate()

    def test_a_node_that_is_killed_under_load_leaves_nothing_untold(self):
        load = Load(self.node, self.database.url, "http", 3000, "--retry", "--step-us", "7000000")
        self.addCleanup(load.remove)
        for _ in range(3):
            rows_before = self.rows()
            wait_until(lambda: self.rows() > rows_before + 2000, "the node stores what comes")
            self.node.kill()
            self.node.start()
            # In the midst of what comes, and of what is read back from the journal.
            self.maintain()
        load.stop()
        report = load.report()
        self.assertEqual(faults(report), {}, report)
        wait_until(lambda: self.node.metric("wellhead_records_queued") == 0, "nothing is queued")
        self.assert_right(self.maintain(), (0, 0, 0))
        self.compute_the_newest_too()
        self.assert_right(time.time() + 31 * DAY, (200, 100, 100))
        self.assertEqual(self.database.value("SELECT sum(sample_count) FROM telemetry_1min"), str(self.rows()))
        check_conservation(self.node)
        audit(self.node)
        self.node.terminate()


if __name__ == "__main__":
    unittest.main()
