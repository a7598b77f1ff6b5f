"""Records through the whole node, and the values that come out of the database."""

import gzip
import json
import socket
import threading
import time
import unittest

from support import WITHOUT_JOURNAL, Database, Node, NodeTest, T0, audit, check_conservation, ndjson, stamp, telemetry, wait_until


class Values(NodeTest):
    config = """
[streams.tank_levels]
table = "tank_levels"
device = "tank"
time = "at"
past_max = "10d"

[[streams.tank_levels.columns]]
name = "at"
type = "timestamptz"
keys = ["ts", "time"]
required = true

[[streams.tank_levels.columns]]
name = "tank"
type = "text"
required = true

[[streams.tank_levels.columns]]
name = "level"
type = "double"
min = 0.0
max = 1.0

[[streams.tank_levels.columns]]
name = "batch"
type = "int"

[[streams.tank_levels.columns]]
name = "open"
type = "bool"

[[streams.tank_levels.columns]]
name = "notes"
type = "jsonb"

[[streams.tank_levels.columns]]
name = "site"
type = "text"
source = "constant"
value = "north"

[[streams.tank_levels.columns]]
name = "sender"
type = "text"
source = "sender"
"""

    @classmethod
    def setUpClass(cls):
        cls.database = Database()
        cls.addClassCleanup(cls.database.drop)
        cls.database.query("CREATE TABLE tank_levels (at timestamptz NOT NULL, tank text NOT NULL, level float8, "
                           "batch int, open boolean, notes jsonb, site text, sender text)")
        cls.node = Node(cls.database.url, cls.config, http_ack="commit", ndjson_ack="commit")
        cls.addClassCleanup(cls.node.remove)
        cls.node.start()

    def test_every_column_of_telemetry(self):
        record = telemetry("values-1", 5, temperature=68.25, vibration=0.5, pressure=100.5, flow_rate=900.25,
                           motor_current=48.5, rpm=3500, intake_pressure=1900.5, discharge_pressure=2500.75)
        before = time.time()
        reply = self.node.post("telemetry", record)
        self.assertEqual((reply.status, reply.json["accepted"]), (200, 1), reply.text)
        rows = self.database.query(
            "SELECT extract(epoch FROM timestamp)::bigint, temperature, vibration, pressure, flow_rate, motor_current, rpm, "
            "intake_pressure, discharge_pressure, data_quality_score, is_anomaly, source_system, "
            "extract(epoch FROM ingestion_timestamp) FROM telemetry WHERE device_id = 'values-1'")
        self.assertEqual(rows[0][:12], [str(T0 + 5), "68.25", "0.5", "100.5", "900.25", "48.5", "3500", "1900.5", "2500.75",
                                        "0.9", "f", "scada"])  # an hour old, and so late
        self.assertAlmostEqual(float(rows[0][12]), before, delta=5)

    def test_units(self):
        records = [telemetry("units", 0, temperature=212, temperature_unit="F"),
                   {"temperature_unit": "F", **telemetry("units", 1, temperature=32)},
                   telemetry("units", 2, temperature=100, temperature_unit="C")]
        self.assertEqual(self.node.post("telemetry", records).json["accepted"], 3)
        self.assertEqual(self.database.query("SELECT temperature FROM telemetry WHERE device_id = 'units' ORDER BY timestamp"),
                         [["100"], ["0"], ["100"]])

    def test_timestamps_in_every_form(self):
        seconds = T0 - T0 % 60
        forms = [seconds, seconds * 1000, seconds * 10**6, seconds * 10**9, stamp(seconds - T0),
                 time.strftime("%Y-%m-%dT%H:%M:%S+02:00", time.gmtime(seconds + 7200)),
                 time.strftime("%Y-%m-%d %H:%M:%S.000000Z", time.gmtime(seconds))]
        records = [{"timestamp": form, "device_id": "forms", "rpm": number} for number, form in enumerate(forms)]
        reply = self.node.post("telemetry", records)
        self.assertEqual(reply.json["accepted"], len(forms), reply.text)
        self.assertEqual(self.database.query("SELECT DISTINCT extract(epoch FROM timestamp)::bigint FROM telemetry "
                                             "WHERE device_id = 'forms'"), [[str(seconds)]])

    def test_the_other_built_in_streams(self):
        esp = {"id": 2**53 + 1, "well_id": "esp-1", "timestamp": stamp(), "flow_rate": 1000.5, "pip": 2000, "motor_current": 50,
               "motor_temp": 200, "vibration": 0.25, "vsd_frequency": 60, "gor": 300}
        self.assertEqual(self.node.post("esp_telemetry", esp).status, 200)
        self.assertEqual(self.database.query("SELECT id, flow_rate, pip, motor_temp, gor FROM esp_telemetry"),
                         [[str(2**53 + 1), "1000.5", "2000", "200", "300"]])
        result = {"id": 1, "well_id": "esp-1", "timestamp": stamp(), "severity": "warning", "diagnosis": "gas lock ÆØÅ €",
                  "confidence": 0.75, "details": {"a": [1, 2.5, None, True], "b": "\"quoted\""}}
        self.assertEqual(self.node.post("diagnostic_results", result).status, 200)
        row = self.database.query("SELECT severity, diagnosis, confidence, details FROM diagnostic_results")[0]
        self.assertEqual(row[:3], ["warning", "gas lock ÆØÅ €", "0.75"])
        self.assertEqual(json.loads(row[3]), result["details"])

    def test_a_stream_from_configuration(self):
        records = [{"ts": stamp(0), "tank": "t1", "level": 0.1, "batch": -5, "open": True, "notes": {"k": 1}},
                   {"time": stamp(1), "tank": "t1", "level": 0.25, "open": False, "notes": None},
                   {"time": stamp(2), "tank": "t1", "level": 1.5}]
        reply = self.node.post("tank_levels", records)
        self.assertEqual((reply.json["accepted"], reply.json["rejected"]), (3, 0), reply.text)
        self.assertEqual(self.database.query("SELECT level, batch, open, notes, site FROM tank_levels ORDER BY at"),
                         [["0.1", "-5", "t", '{"k": 1}', "north"], ["0.25", "", "f", "", "north"], ["", "", "", "", "north"]])
        self.assertRegex(self.database.value("SELECT DISTINCT sender FROM tank_levels"),
                         rf"^http 127\.0\.0\.1:{self.node.ports['http']} from 127\.0\.0\.1:\d+$")

    def test_every_form_of_body(self):
        rows = [telemetry("bodies", number, rpm=number) for number in range(9)]
        pretty = json.dumps(rows[3], indent=2)
        plain = {"Content-Type": "application/json"}
        lines = {"Content-Type": "application/x-ndjson"}
        for body, headers in [(json.dumps(rows[0]), plain), (json.dumps(rows[1:3], indent=1), plain), (pretty, plain),
                              (ndjson(rows[4:6]), lines), (ndjson(rows[6:8]), plain),
                              (gzip.compress(ndjson(rows[8:])), {**lines, "Content-Encoding": "gzip"})]:
            reply = self.node.post("telemetry", body, headers)
            self.assertEqual((reply.status, reply.json["rejected"]), (200, 0), reply.text)
        self.assertEqual(self.database.query("SELECT rpm FROM telemetry WHERE device_id = 'bodies' ORDER BY timestamp"),
                         [[str(number)] for number in range(9)])

    def test_many_clients_at_once_each_get_their_own_outcome(self):
        def client(number, wrong):
            for turn in range(20):
                good = [telemetry(f"crowd-{number}", turn * 10 + row) for row in range(10)]
                bad = [{"device_id": "x"}] * (number % 3)
                reply = self.node.post("telemetry", good + bad)
                if (reply.status, reply.json["accepted"], reply.json["rejected"]) != (200, 10, number % 3):
                    wrong.append(reply.text)

        wrong = []
        threads = [threading.Thread(target=client, args=(number, wrong)) for number in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(wrong, [])
        self.assertEqual(self.database.query("SELECT count(*), count(DISTINCT (device_id, timestamp)) FROM telemetry "
                                             "WHERE device_id LIKE 'crowd-%'"), [["3200", "3200"]])

    def test_the_admin_port_says_what_this_is_and_how_it_is(self):
        for path in ("/health/live", "/health/ready", "/health/startup", "/", "/metrics"):
            self.assertEqual(self.node.admin(path).status, 200, path)
        self.assertEqual(self.node.admin("/nothing").status, 404)
        self.assertIn("wellhead", self.node.admin("/").text)


class Shutdown(unittest.TestCase):
    def setUp(self):
        self.database = Database()
        self.addCleanup(self.database.drop)
        # A long linger holds rows back, so that TERM finds some that are taken and not committed.
        self.node = Node(self.database.url, 'flush.linger = "5s"\n', http_ack="commit", ndjson_ack="commit")
        self.addCleanup(self.node.remove)
        self.node.start()

    def test_term_answers_and_commits_what_was_taken(self):
        replies = []
        posting = threading.Thread(target=lambda: replies.append(self.node.post("telemetry", telemetry("drain"))))
        with self.node.socket("ndjson") as lines:
            lines.sendall(ndjson([telemetry("drain", number) for number in range(1, 101)]))
            posting.start()
            wait_until(lambda: self.node.metric("wellhead_records_queued") == 101, "101 records are on their way")
            check_conservation(self.node)
            audit(self.node)
            self.node.terminate()
            messages = [json.loads(line) for line in lines.makefile("rb")]
        posting.join()
        self.assertEqual(replies[0].status, 200)
        self.assertEqual(messages[-1], {"ack": 100})
        self.assertEqual(self.database.value("SELECT count(*) FROM telemetry WHERE device_id = 'drain'"), "101")

    def test_a_second_term_exits_at_once(self):
        with self.node.socket("ndjson") as lines:
            lines.sendall(ndjson([telemetry("hurry")]))
            wait_until(lambda: self.node.metric("wellhead_records_queued") == 1, "the record is on its way")
            begin = time.monotonic()
            self.node.process.terminate()
            time.sleep(0.1)
            self.node.process.terminate()
            self.node.process.wait(10)
            self.assertLess(time.monotonic() - begin, 4)
            self.assertNotEqual(self.node.process.returncode, 0)
            self.assertEqual([line for line in lines.makefile("rb") if b"ack" in line], [], "acknowledged without a commit")


class StartUp(unittest.TestCase):
    def test_live_without_a_database(self):
        node = Node("postgresql://nobody@127.0.0.1:1/none", WITHOUT_JOURNAL, migrate=False)
        self.addCleanup(node.remove)
        begin = time.monotonic()
        node.start(ready=False)
        print(f"live after {time.monotonic() - begin:.3f} s", flush=True)
        wait_until(lambda: "connect" in (reply := node.admin("/health/ready")).text.lower() and reply.status == 503,
                   "not ready, and the sentence says that there is no connection")
        reply = node.post("telemetry", telemetry("x"))
        self.assertEqual((reply.status, reply.json["error"]["code"]), (503, "unavailable"))
        self.assertGreater(int(reply.headers["Retry-After"]), 0)
        self.assertNotIn("nobody", node.log())
        check_conservation(node)
        audit(node)
        node.terminate()

    def test_a_missing_table_is_one_sentence_and_heals_when_it_is_there(self):
        database = Database()
        self.addCleanup(database.drop)
        node = Node(database.url, migrate=False)
        self.addCleanup(node.remove)
        node.start(ready=False)
        wait_until(lambda: "wellhead migrate up" in node.admin("/health/ready").text, "the problem names its remedy")
        node.run("migrate", "up", check=True)
        wait_until(lambda: node.is_ready(), "ready without a restart")
        self.assertEqual(node.post("telemetry", telemetry("healed")).status, 200)
        node.terminate()

    def test_configuration_mistakes_exit_78_and_name_file_line_and_key(self):
        for text, words in [("http.lisen = \"127.0.0.1:1\"\n", ["http.lisen", "http.listen"]),
                            ("server.shards = \"many\"\n", ["server.shards"]),
                            ("flush.linger = \"3 parsecs\"\n", ["flush.linger"]),
                            ("[streams.x]\ntable = \"x\"\n", ["streams.x"]),
                            ("this is not toml\n", [])]:
            with self.subTest(text=text):
                node = Node(migrate=False)
                self.addCleanup(node.remove)
                node.config_path.write_text(text)
                done = node.run("check")
                self.assertEqual(done.returncode, 78, done.stderr)
                for word in [*words, "wellhead.toml:"]:
                    self.assertIn(word, done.stdout + done.stderr)

    def test_a_port_that_is_taken_is_named(self):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            node = Node(migrate=False, sink="null")
            self.addCleanup(node.remove)
            port = taken.getsockname()[1]
            node.environment["WELLHEAD_HTTP_LISTEN"] = f"127.0.0.1:{port}"
            done = node.run("serve")
            self.assertNotEqual(done.returncode, 0)
            self.assertIn(str(port), done.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
