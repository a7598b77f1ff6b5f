"""Quality reports of a real node's rows as calculated by hand, and scoring again by other rules."""

import json
import pathlib
import shutil
import time
import unittest

from support import Database, Node, NodeTest, ndjson

LATE, REPAIRED, OUT_OF_ORDER, WARMING_UP = 1 << 0, 1 << 3, 1 << 12, 1 << 13


def missing(field):
    return 1 << 16 + field


def out_of_range(field):
    return 1 << 32 + field


def stamp(seconds_ago):
    moment = time.time() - seconds_ago
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(moment)) + f".{int(moment * 1000) % 1000:03d}Z"


def reading(device, seconds_ago=0.0, **changes):
    """A complete reading; a change to None leaves the field out."""
    record = {"timestamp": stamp(seconds_ago), "device_id": device, "temperature": 60.0, "vibration": 0.2, "pressure": 1000.0,
              "flow_rate": 900.0, **changes}
    return {key: value for key, value in record.items() if value is not None}


def history(device, count, until, step=0.5):
    return [reading(device, until + (count - number) * step, pressure=1000 + 2 * ((number * 7 % 11) - 5))
            for number in range(count)]


def report(node, *arguments):
    return json.loads(node.run("report", "quality", "--json", *arguments, check=True).stdout)


class Quality(NodeTest):
    def test_the_report_says_what_was_calculated_by_hand(self):
        # (record, score): 8 rows, and 2 records that become none.
        records = [
            (reading("good"), 1.0), (reading("good", 1), 1.0), (reading("good", 2), 1.0), (reading("good", 3), 1.0),
            (reading("gap", vibration=None), 0.85),            # incomplete
            (reading("hot", temperature=500), 0.75),           # incomplete: NULL now
            (reading("slow", 600), 0.90),                      # late
            (reading("worst", 600, temperature=500, pressure=None), 0.50),  # late, incomplete
            ({**reading("bad"), "pressure": "high"}, None), ("no record", None),
        ]
        reply = self.node.post("telemetry", [record for record, _ in records])
        self.assertEqual((reply.json["accepted"], reply.json["rejected"]), (8, 2), reply.text)
        self.node.post("telemetry", [reading("old", 7200, flow_rate=None)])  # of earlier hours: 0.85 - 0.10

        scores = [score for _, score in records if score is not None]
        found = report(self.node, "--hours", "1", "--by", "device")
        self.assertEqual((found["stream"], found["hours"], found["rows"]), ("telemetry", 1, 8))
        expected = {"completeness": 5 / 8 * 100, "validity": sum(scores) / 8 * 100, "consistency": 100.0,
                    "timeliness": 6 / 8 * 100}
        expected["overall"] = (0.30 * 62.5 + 0.30 * 87.5 + 0.25 * 100 + 0.15 * 75)
        self.assertAlmostEqual(expected["validity"], 87.5)
        for figure, value in expected.items():
            self.assertAlmostEqual(found[figure], value, 4, figure)
        self.assertEqual([(one["device"], round(one["mean_score"], 4), one["anomalies"], one["rows"])
                          for one in found["devices"]],
                         [("worst", 0.5, 0, 1), ("hot", 0.75, 0, 1), ("gap", 0.85, 0, 1), ("slow", 0.9, 0, 1),
                          ("good", 1.0, 0, 4)])
        self.assertEqual(len(report(self.node, "--by", "device", "--limit", "2")["devices"]), 2)

        whole = report(self.node)
        self.assertEqual((whole["rows"], whole["devices"]), (9, []))
        view = self.database.query("SELECT row_count, completeness, validity, timeliness FROM quality_overview")[0]
        self.assertEqual(int(view[0]), 9)
        for text, value in zip(view[1:], (5 / 9 * 100, (7 + 0.75) / 9 * 100, 6 / 9 * 100)):
            self.assertAlmostEqual(float(text), value, 4)
        self.assertEqual(self.database.query("SELECT device_id FROM quality_by_device LIMIT 3"), [["worst"], ["hot"], ["old"]])
        text = self.node.run("report", "quality", "--hours", "1", "--by", "device", check=True).stdout
        self.assertIn("overall         81.25 %", text)
        self.assertIn("worst", text)

    def test_without_rows_there_are_no_figures(self):
        found = report(self.node, "--stream", "esp_telemetry", "--by", "device")
        self.assertEqual((found["rows"], found["overall"], found["devices"]), (0, None, []))

    def test_the_words_of_the_flags_are_the_same_in_the_program_and_in_sql(self):
        records = [reading("words", temperature=-100, vibration=None), reading("words", 1, temperature=212, temperature_unit="F")]
        file = pathlib.Path(self.node.folder.name, "words.ndjson")
        file.write_bytes(ndjson(records))
        printed = self.node.run("score", "--input", str(file), check=True).stdout
        words = self.database.value(
            f"SELECT wellhead_quality_reasons('telemetry', {REPAIRED | 4 | missing(1) | out_of_range(0) | WARMING_UP})")
        for word in words.strip("{}").split(","):
            self.assertIn(f"  {word} ", printed)

    def test_another_stream_is_no_stream_of_the_report(self):
        self.assertEqual(self.node.run("report", "quality", "--stream", "diagnostic_results").returncode, 64)


class Rescoring(unittest.TestCase):
    def setUp(self):
        self.database = Database()
        self.addCleanup(self.database.drop)
        self.node = Node(self.database.url, http_ack="commit", server_reactors=2)
        self.addCleanup(self.node.remove)
        self.node.start()

    def score(self, *arguments):
        file = pathlib.Path(self.node.folder.name, "figures.json")
        self.node.run("score", *arguments, "--json", str(file), check=True)
        return json.loads(file.read_text())

    def rows(self):
        return self.database.query("SELECT timestamp, device_id, temperature, round(data_quality_score::numeric, 4), is_anomaly, "
                                   "quality_flags FROM telemetry ORDER BY 2, 1")

    def send(self, records):
        reply = self.node.post("telemetry", ndjson(records), {"Content-Type": "application/x-ndjson"})
        self.assertEqual(reply.json["accepted"], len(records), reply.text)

    def test_the_same_rules_give_the_same_scores(self):
        calm = history("calm", 200, 5.0)
        # Each on a connection of its own, and so to either reactor's part of the journal.
        for first in range(0, 200, 10):
            self.send(calm[first:first + 10])
        self.send([reading("calm", 4.0, pressure=1400), reading("cold", temperature=-100), reading("slow", 600),
                   reading("gap", vibration=None)])
        before = self.rows()
        self.assertEqual(sum(row[4] == "t" for row in before), 1)
        found = self.score("--replay")
        self.assertEqual((found["rows"], found["compared"], found["changed"], found["written"]), (204, 204, 0, 0))
        self.assertEqual(self.rows(), before)

    def test_other_rules_are_shown_first_and_then_written(self):
        warm, cool = (history(device, 100, 5.0) for device in ("warm", "cool"))
        self.send([*({**record, "temperature": 90} for record in warm), *cool, reading("late", 400)])
        before = self.rows()
        # 90 degrees are out of range now, and 400 seconds are not late.
        self.change_rules()
        dry = self.score("--replay", "--dry-run")
        self.assertEqual((dry["rows"], dry["compared"], dry["changed"], dry["score_changed"], dry["written"]),
                         (201, 201, 101, 101, 0))
        self.assertAlmostEqual(dry["mean_score_before"], (200 + 0.9) / 201, 6)
        self.assertAlmostEqual(dry["mean_score_after"], (100 + 75 + 1) / 201, 6)
        self.assertEqual(self.rows(), before)

        done = self.score("--replay")
        self.assertEqual((done["changed"], done["written"]), (101, 101))
        after = self.rows()
        self.assertEqual([row[:3] for row in after], [row[:3] for row in before])
        scores = {device: {row[3] for row in after if row[1] == device} for device in ("warm", "cool", "late")}
        self.assertEqual(scores, {"warm": {"0.7500"}, "cool": {"1.0000"}, "late": {"1.0000"}})
        self.assertTrue(all(int(row[5]) & out_of_range(0) for row in after if row[1] == "warm"))
        self.assertFalse(any(int(row[5]) & LATE for row in after))
        self.assertEqual(self.score("--replay")["changed"], 0)
        self.node.terminate()

    def change_rules(self):
        self.node.config = ("[streams.telemetry.rules.temperature]\nmax = 80\n"
                            "[streams.telemetry.scoring]\nlate_after = \"500s\"\n")
        self.node.configure()

    def test_what_was_written_before_since_is_only_learned_from(self):
        self.send(history("since", 100, 5.0))
        since = self.database.value("SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')")
        self.send([reading("since", 1.0, pressure=1400), reading("since", vibration=None)])
        self.database.query("UPDATE telemetry SET data_quality_score = 0.3, is_anomaly = false")
        found = self.score("--replay", "--since", since)
        self.assertEqual((found["rows"], found["learned"], found["compared"], found["written"]), (102, 100, 2, 2))
        self.assertEqual((found["anomalies_before"], found["anomalies_after"]), (0, 1))
        self.assertEqual([row[3:5] for row in self.rows()][-2:], [["1.0000", "t"], ["0.8500", "f"]])
        self.assertEqual({row[3] for row in self.rows()[:100]}, {"0.3000"})

    def test_the_same_rules_change_nothing_of_what_an_earlier_journal_knew(self):
        # The node's baseline knows more than the journal will: a thousand readings are in the table's past only.
        self.send(history("known", 1000, 150.0, 0.1))
        self.node.terminate()
        shutil.rmtree(self.node.journal)
        self.node.start()
        # Flushed apart, and the second one before the first; then enough for a baseline here to be warm, and a spike.
        self.send([reading("known", 55.0)])
        self.send([reading("known", 58.0)])
        self.send(history("known", 100, 50.0, 0.1))
        self.send([reading("known", 30.0, pressure=1025)])
        before = self.rows()
        found = self.score("--replay")
        self.assertEqual((found["rows"], found["changed"], found["written"]), (103, 0, 0))
        self.assertEqual(found["unjudged"], 103)
        self.assertEqual(self.rows(), before)

    def test_rows_that_were_out_of_order_stay_it(self):
        self.send(history("order", 100, 100.0, 0.1))
        self.send([reading("order", 50.0)])
        self.send([reading("order", 58.0)])
        before = self.rows()
        self.assertEqual(int(before[-2][5]), OUT_OF_ORDER)
        found = self.score("--replay")
        self.assertEqual((found["rows"], found["reordered"], found["changed"], found["written"]), (102, 1, 0, 0))
        self.assertEqual(self.rows(), before)

    def test_the_difference_is_shown_before_anything_is_written(self):
        self.send([reading("shown", 1.0), reading("shown", vibration=None)])
        self.database.query("UPDATE telemetry SET data_quality_score = 0.3")
        done = self.node.run("score", "--replay", check=True)
        self.assertLess(done.stdout.index("2 rows differ"), done.stdout.index("2 rows written"))
        self.assertNotIn("nothing was written", done.stdout)
        self.assertEqual([row[3] for row in self.rows()], ["1.0000", "0.8500"])

    def test_rows_that_are_gone_or_not_alone_are_left_out(self):
        twin = reading("twin", 1)
        self.send([reading("gone", 1), twin, twin, reading("alone", 1, vibration=None)])
        self.database.query("DELETE FROM telemetry WHERE device_id = 'gone'")
        self.database.query("UPDATE telemetry SET data_quality_score = 0.1, quality_flags = 0")
        found = self.score("--replay")
        self.assertEqual((found["rows"], found["not_found"], found["ambiguous"]), (4, 1, 2))
        # Still being learned, where the table says that it was known: only what the row tells by itself is written.
        self.assertEqual((found["unjudged"], found["written"]), (1, 1))
        self.assertEqual([row[3:] for row in self.rows() if row[1] == "alone"], [["0.8500", "f", str(missing(1))]])

    def test_a_file_is_compared_and_nothing_is_written(self):
        records = [reading("file", 600 + number, vibration=None if number % 2 else 0.2) for number in range(10)]
        self.send(records)
        file = pathlib.Path(self.node.folder.name, "records.ndjson")
        file.write_bytes(ndjson(sorted(records, key=lambda record: record["timestamp"])))
        self.database.query(f"UPDATE telemetry SET data_quality_score = 1, quality_flags = {WARMING_UP} | 1")
        before = self.rows()
        found = self.score("--input", str(file), "--compare")
        self.assertEqual((found["rows"], found["compared"], found["not_found"], found["written"]), (10, 10, 0, 0))
        self.assertAlmostEqual(found["mean_score_after"], (5 * 0.9 + 5 * 0.75) / 10, 6)
        self.assertEqual(self.rows(), before)

    def test_what_cannot_be_done_is_said_before_anything_is(self):
        for arguments, code in (((), 64), (("--replay", "--since", "yesterday"), 64), (("--replay", "--dir", "/nowhere"), 1),
                                (("--replay", "--stream", "nothing"), 64), (("--since", "1h", "--input", "x"), 64),
                                (("--input", "/nowhere/x"), 1)):
            done = self.node.run("score", *arguments)
            self.assertEqual((arguments, done.returncode), (arguments, code), done.stderr)
            self.assertNotEqual(done.stderr, "", arguments)


if __name__ == "__main__":
    unittest.main()
