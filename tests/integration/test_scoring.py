"""Scores, flags and dead letters of a real node as calculated by hand, and what it knows of devices through kills and stops."""

import time
import unittest

from support import Database, Node, NodeTest, audit, check_conservation, ndjson, wait_until

# codec/quality.hpp
LATE, CLOCK_AHEAD, UNIT_CONVERTED, REPAIRED = 1 << 0, 1 << 1, 1 << 2, 1 << 3
INCONSISTENT, ANOMALOUS, OUT_OF_ORDER, WARMING_UP = 1 << 8, 1 << 9, 1 << 12, 1 << 13
TEMPERATURE, VIBRATION, PRESSURE, FLOW_RATE = range(4)


def missing(*fields):
    return sum(1 << 16 + field for field in fields)


def out_of_range(*fields):
    return sum(1 << 32 + field for field in fields)


def unusual(*fields):
    return sum(1 << 48 + field for field in fields)


def stamp(seconds_ago):
    moment = time.time() - seconds_ago
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(moment)) + f".{int(moment * 1000) % 1000:03d}Z"


def reading(device, seconds_ago=0.0, **changes):
    """A complete reading; a change to None leaves the field out."""
    record = {"timestamp": stamp(seconds_ago), "device_id": device, "temperature": 60.0, "vibration": 0.2, "pressure": 1000.0,
              "flow_rate": 900.0, **changes}
    return {key: value for key, value in record.items() if value is not None}


def history(device, count, until=10.0, step=0.5, level=1000.0):
    """Ordinary readings, the oldest first: the pressure goes up and down by 1 % in a pattern that does not repeat soon."""
    return [reading(device, until + (count - number) * step, pressure=level * (1 + 0.01 * ((number * 7 % 11) - 5) / 5))
            for number in range(count)]


class ScoringTest(NodeTest):
    def send(self, records, node=None):
        reply = (node or self.node).post("telemetry", ndjson(records), {"Content-Type": "application/x-ndjson"})
        self.assertEqual((reply.status, reply.json["accepted"]), (200, len(records)), reply.text)

    def row(self, device, columns="round(data_quality_score::numeric, 4), is_anomaly, quality_flags"):
        """The device's latest row."""
        return self.database.query(
            f"SELECT {columns} FROM telemetry WHERE device_id = '{device}' ORDER BY timestamp DESC LIMIT 1")[0]

    def assert_scored(self, device, score, flags, anomaly=False):
        found = self.row(device)
        self.assertAlmostEqual(float(found[0]), score, 4, device)
        self.assertEqual(int(found[2]), flags, f"{device}: {int(found[2]):#x}, not {flags:#x}")
        self.assertEqual(found[1], "t" if anomaly else "f", device)

    def count(self, device, condition="true"):
        return int(self.database.value(f"SELECT count(*) FROM telemetry WHERE device_id = '{device}' AND {condition}"))


class ByHand(ScoringTest):
    def test_each_reason_costs_what_the_formula_says(self):
        cases = {
            "complete": (reading("complete"), 1.0, 0),
            "two-missing": (reading("two-missing", vibration=None, pressure=None), 0.70, missing(VIBRATION, PRESSURE)),
            "null-is-missing": ({**reading("null-is-missing"), "flow_rate": None}, 0.85, missing(FLOW_RATE)),
            "out-of-range": (reading("out-of-range", temperature=500), 0.75, REPAIRED | out_of_range(TEMPERATURE)),
            "two-out-of-range": (reading("two-out-of-range", temperature=-51, pressure=-1), 0.50,
                                 REPAIRED | out_of_range(TEMPERATURE, PRESSURE)),
            "late": (reading("late", 600), 0.90, LATE),
            "not-late": (reading("not-late", 200), 1.0, 0),
            "ahead": (reading("ahead", -600), 1.0, CLOCK_AHEAD),
            "fahrenheit": (reading("fahrenheit", temperature=212, temperature_unit="F"), 1.0, UNIT_CONVERTED),
            "all": (reading("all", 600, temperature=500, vibration=-1, pressure=None, flow_rate=None), 0.10,
                    LATE | REPAIRED | missing(PRESSURE, FLOW_RATE) | out_of_range(TEMPERATURE, VIBRATION)),
            "nothing-left": (reading("nothing-left", 600, temperature=500, vibration=-1, pressure=-1, flow_rate=-1), 0.0,
                             LATE | REPAIRED | out_of_range(TEMPERATURE, VIBRATION, PRESSURE, FLOW_RATE)),
        }
        self.send([record for record, _, _ in cases.values()])
        for device, (_, score, flags) in cases.items():
            # A reading without a value teaches nothing that could warm up.
            self.assert_scored(device, score, flags if device in ("all", "nothing-left") else flags | WARMING_UP)
        self.assertEqual(self.row("out-of-range", "temperature IS NULL, pressure")[0:2], ["t", "1000"])
        self.assertEqual(self.row("fahrenheit", "temperature")[0], "100")

    def test_what_was_repaired_and_what_was_rejected_lies_in_the_dead_letter(self):
        bad = {**reading("rejected"), "pressure": "high"}
        reply = self.node.post("telemetry", [reading("kept"), reading("repaired", temperature=500), bad])
        self.assertEqual((reply.json["accepted"], reply.json["rejected"]), (2, 1), reply.text)
        letters = wait_until(lambda: self.database.query(
            "SELECT device_id, code, field FROM dead_letter WHERE device_id IN ('kept', 'repaired', 'rejected') ORDER BY 1"),
            "the letters are there")
        self.assertEqual(letters, [["rejected", "wrong_type", "pressure"], ["repaired", "repaired", "temperature"]])
        self.assertEqual([self.count(device) for device in ("kept", "repaired", "rejected")], [1, 1, 0])

    def test_a_value_far_from_the_recent_average_is_inconsistent_and_an_anomaly(self):
        self.send(history("half", 200))
        self.assertEqual(self.count("half", "is_anomaly"), 0)
        for pressure, inconsistent in ((1450.0, False), (1560.0, True), (550.0, False), (440.0, True)):
            self.send([reading("half", pressure=pressure)])
            self.assert_scored("half", 0.8 if inconsistent else 1.0,
                               ANOMALOUS | unusual(PRESSURE) | (INCONSISTENT if inconsistent else 0), anomaly=True)
        self.send([reading("half")])
        self.assert_scored("half", 1.0, 0)

    def test_late_rows_do_not_move_the_baseline(self):
        self.send(history("late-rows", 200, until=1.0, step=0.05))
        self.send([reading("late-rows", 100 + number, pressure=1400 + number % 7) for number in range(150)])
        self.assertEqual(self.count("late-rows", f"quality_flags & {OUT_OF_ORDER} <> 0"), 150)
        self.send([reading("late-rows")])
        self.assert_scored("late-rows", 1.0, 0)
        self.send([reading("late-rows", pressure=1400)])
        self.assert_scored("late-rows", 1.0, ANOMALOUS | unusual(PRESSURE), anomaly=True)

    def test_the_metrics_say_what_the_rows_say(self):
        def samples():
            return [self.node.metric(f"wellhead_quality_{name}", stream="telemetry")
                    for name in ("score_count", "score_sum", "late_total", "repaired_total")]

        before = samples()
        self.send([reading("metrics"), reading("metrics-late", 600), reading("metrics-repaired", pressure=-1)])
        self.assertEqual([round(after - was, 3) for after, was in zip(samples(), before)], [3, 2.65, 1, 1])
        rejects = {"stream": "telemetry", "code": "wrong_type"}
        refused = self.node.metric("wellhead_quality_rejects_total", **rejects)
        self.node.post("telemetry", [{**reading("metrics-rejected"), "pressure": "high"}])
        self.assertEqual(self.node.metric("wellhead_quality_rejects_total", **rejects) - refused, 1)
        self.assertGreater(self.node.metric("wellhead_baseline_devices"), 0)
        self.assertGreater(self.node.metric("wellhead_baseline_bytes"), 0)


class Restarts(ScoringTest):
    def assert_knows(self, device):
        """Ordinary readings raise no alarm, and a spike does."""
        self.send(history(device, 40, until=1.0, step=0.1))
        self.assertEqual(self.count(device, "is_anomaly"), 0)
        self.assertEqual(self.count(device, f"quality_flags & {WARMING_UP} <> 0"), self.warm_up[device])
        self.send([reading(device, pressure=1400)])
        self.assert_scored(device, 1.0, ANOMALOUS | unusual(PRESSURE), anomaly=True)

    def saved(self, prefix):
        return int(self.database.value(f"SELECT count(*) FROM wellhead_device_baselines WHERE device_id LIKE '{prefix}-%'"))

    def learn(self, devices):
        for first in range(0, len(devices), 20):
            self.send([record for device in devices[first:first + 20] for record in history(device, 120, until=60.0)])
        self.warm_up = {device: self.count(device, f"quality_flags & {WARMING_UP} <> 0") for device in devices}
        for device in devices:
            self.assertGreater(self.warm_up[device], 0)
            self.assertLess(self.warm_up[device], 120)

    def test_after_a_kill_it_goes_on_from_what_was_saved_with_the_rows(self):
        devices = [f"killed-{number}" for number in range(4)]
        self.learn(devices)
        self.assertEqual(self.saved("killed"), 4)
        self.node.kill()
        self.node.start()
        for device in devices:
            self.assert_knows(device)
        self.assertGreaterEqual(self.node.metric("wellhead_baselines_restored_total"), 4)
        self.assertEqual(self.node.metric("wellhead_baselines_unreadable_total"), 0)

    def test_a_clean_stop_saves_every_device(self):
        devices = [f"stopped-{number}" for number in range(300)]
        self.learn(devices)
        self.node.terminate()
        self.assertEqual(self.saved("stopped"), 300)
        self.node.start()
        for device in (devices[0], devices[150], devices[299]):
            self.assert_knows(device)

    def test_rows_that_waited_in_the_journal_are_scored_when_they_are_read_back(self):
        self.learn(["replayed"])
        self.node.terminate()
        self.database.query("ALTER TABLE telemetry RENAME TO telemetry_away")
        self.node.start(ready=False)
        headers = {"Content-Type": "application/x-ndjson", "Ack": "journal"}
        reply = self.node.post("telemetry", ndjson([reading("replayed", 1.0), reading("replayed", pressure=1400)]), headers)
        self.assertEqual(reply.status, 200, reply.text)
        self.node.kill()
        self.database.query("ALTER TABLE telemetry_away RENAME TO telemetry")
        self.node.start()
        wait_until(lambda: self.count("replayed") == 122, "the rows are read back")
        self.assert_scored("replayed", 1.0, ANOMALOUS | unusual(PRESSURE), anomaly=True)
        self.assertEqual(self.count("replayed", "is_anomaly"), 1)


class Switches(unittest.TestCase):
    def start(self, **settings):
        database = Database()
        self.addCleanup(database.drop)
        node = Node(database.url, http_ack="commit", **settings)
        self.addCleanup(node.remove)
        return database, node

    def test_without_scoring_rows_keep_what_the_record_by_itself_says(self):
        database, node = self.start(scoring_enabled=False)
        database.query("DROP TABLE wellhead_device_baselines")
        node.start()
        reply = node.post("telemetry", [*history("off", 100), reading("off", pressure=-1)])
        self.assertEqual(reply.json["accepted"], 101, reply.text)
        rows = database.query("SELECT data_quality_score, is_anomaly, quality_flags, count(*) FROM telemetry "
                              "GROUP BY 1, 2, 3 ORDER BY 4")
        self.assertEqual(rows, [["0.75", "f", str(REPAIRED | out_of_range(PRESSURE)), "1"], ["1", "f", "0", "100"]])
        check_conservation(node)
        audit(node)
        node.terminate()

    def test_without_the_table_of_baselines_it_says_what_to_do_and_goes_on_when_it_is_done(self):
        database, node = self.start()
        database.query("ALTER TABLE wellhead_device_baselines RENAME TO away")
        node.start(ready=False)
        wait_until(lambda: "wellhead_device_baselines" in node.admin("/health/ready").text, "the shards say what is missing")
        self.assertIn("wellhead migrate up", node.admin("/health/ready").text)
        checked = node.run("check")
        self.assertEqual(checked.returncode, 1)
        self.assertIn("wellhead_device_baselines", checked.stdout)
        database.query("ALTER TABLE away RENAME TO wellhead_device_baselines")
        wait_until(node.is_ready, "the shards go on by themselves")
        self.assertEqual(node.post("telemetry", [reading("on")]).json["accepted"], 1)
        node.terminate()


if __name__ == "__main__":
    unittest.main()
