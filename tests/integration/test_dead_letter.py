"""Records that do not become rows are kept as they came, can be looked at, and are brought back when the cause is gone."""

import json
import re
import unittest

from support import Database, Node, NodeTest, audit, check_conservation, ndjson, telemetry, wait_until

ID = r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}"


class DeadLetterTest(NodeTest):
    def command(self, *arguments, exit_code=0):
        done = self.node.run("dead-letter", *arguments)
        self.assertEqual(done.returncode, exit_code, f"{arguments}\n{done.stdout}{done.stderr}")
        return done

    def letters(self, device=None, count=1, **filters):
        """The letters as `list` gives them, the oldest first, once there are `count`."""
        options = [part for key, value in filters.items() for part in (f"--{key}", value)]

        def found():
            lines = self.command("list", "--limit", "1000", "--json", *options).stdout.splitlines()
            letters = [json.loads(line) for line in reversed(lines)]
            letters = [letter for letter in letters if device in (None, letter["device_id"])]
            return letters if len(letters) >= count else None

        return wait_until(found, f"{count} dead letters of {device}")

    def rows(self, device):
        return int(self.database.value(f"SELECT count(*) FROM telemetry WHERE device_id = '{device}'"))


class Kept(DeadLetterTest):
    config = 'dead_letter.payload_bytes_max = "1KiB"\ndead_letter.per_request_max = 5\nlimits.line_bytes_max = "4KiB"\n'

    def test_a_bad_record_is_kept_with_its_reason_and_its_very_bytes(self):
        good = json.dumps(telemetry("kept", 1))
        bad = '{ "timestamp" : "%s",\t"device_id":"kept", "rpm":"f\\u00e4st\u00b5" }' % telemetry("kept", 2)["timestamp"]
        reply = self.node.post("telemetry", f"[{good},\n {bad} ]".encode())
        self.assertEqual((reply.json["accepted"], reply.json["rejected"]), (1, 1), reply.text)
        letter = self.letters("kept")[0]
        self.assertRegex(letter["id"], ID)
        for key, value in {"node_id": "test", "stream": "telemetry", "code": "wrong_type", "field": "rpm", "record_index": 1,
                           "payload_form": "original", "sqlstate": None, "replayed_at": None,
                           "payload_bytes": len(bad.encode()), "kept_bytes": len(bad.encode())}.items():
            self.assertEqual(letter[key], value, key)
        self.assertEqual(letter["message"], reply.json["errors"][0]["message"])
        self.assertRegex(letter["source"], rf"^http 127\.0\.0\.1:{self.node.ports['http']} from 127\.0\.0\.1:\d+$")
        self.assertEqual(self.command("show", letter["id"], "--raw").stdout, bad)
        shown = self.command("show", letter["id"]).stdout
        self.assertIn(bad, shown)
        self.assertIn("code:        wrong_type", shown)
        self.assertIn(letter["id"], self.command("list", "--stream", "telemetry", "--since", "1h").stdout)
        self.assertEqual(self.rows("kept"), 1)

    def test_a_repaired_record_is_stored_its_original_is_kept_and_a_replay_passes_over_it(self):
        bad = json.dumps(telemetry("mended", 2, pressure=-3))
        reply = self.node.post("telemetry", f'[{json.dumps(telemetry("mended", 1))}, {bad}]'.encode())
        self.assertEqual((reply.json["accepted"], reply.json["rejected"]), (2, 0), reply.text)
        letter = self.letters("mended")[0]
        self.assertEqual((letter["code"], letter["field"], letter["record_index"]), ("repaired", "pressure", 1))
        self.assertEqual(letter["message"], '"pressure" must be at least 0 psi; the record has -3.')
        self.assertEqual(self.command("show", letter["id"], "--raw").stdout, bad)
        wait_until(lambda: self.rows("mended") == 2, "both are stored")
        self.assertIn("0 of 0 replayed", self.command("replay", "--code", "repaired").stdout)
        self.assertIn("is stored, with NULL", self.command("replay", "--id", letter["id"], exit_code=1).stderr)
        self.assertEqual(self.rows("mended"), 2)
        self.assertEqual(self.node.post("telemetry", telemetry("unwanted", pressure=-3), query="?dead_letter=false").status, 200)
        self.assertEqual(self.database.value("SELECT count(*) FROM dead_letter WHERE device_id = 'unwanted'"), "0")

    def test_a_line_that_is_no_json_is_kept_and_shown_harmlessly(self):
        line = b'{"device_id":"\x1b[2J\xff",'
        with self.node.socket("ndjson") as connection:
            connection.sendall(line + b"\n" + ndjson([telemetry("lines", 1)]))
            wait_until(lambda: self.rows("lines") == 1, "the line behind the bad one is stored")
        letter = self.letters(code="malformed_json")[-1]
        self.assertTrue(letter["source"].startswith("ndjson "), letter)
        shown = self.command("show", letter["id"]).stdout
        self.assertIn(r'{"device_id":"\x1b[2J\xff",', shown)

    def test_of_a_line_too_long_the_beginning_is_kept(self):
        with self.node.socket("ndjson") as connection:
            connection.sendall(b'{"note":"' + b"x" * 100_000 + b'"}\n')
            answer = connection.makefile().readline()
        self.assertIn("record_too_large", answer)
        letter = self.letters(code="record_too_large")[-1]
        self.assertEqual((letter["payload_bytes"], letter["kept_bytes"]), (100_011, 1024))
        self.assertTrue(self.command("show", letter["id"], "--raw").stdout.startswith('{"note":"xxxx'))
        refused = self.command("replay", "--id", letter["id"], exit_code=1)
        self.assertIn("only the first 1024 of its 100011 bytes were kept", refused.stderr)

    def test_of_many_bad_records_in_one_request_the_rest_is_counted(self):
        reply = self.node.post("telemetry", ndjson([{"device_id": "flood"}] * 50), {"Content-Type": "application/x-ndjson"})
        self.assertEqual(reply.status, 422, reply.text)
        self.assertEqual(len(self.letters("flood", count=5)), 5)
        self.assertTrue(self.letters(code="not_kept")[-1]["message"].startswith("The request had 45 more records"))

    def test_all_or_nothing_keeps_the_bad_record_only(self):
        body = ndjson([telemetry("whole", 1), telemetry("whole", 2, rpm="x")])
        reply = self.node.post("telemetry", body, {"Content-Type": "application/x-ndjson"}, "?accept_partial=false")
        self.assertEqual(reply.status, 422, reply.text)
        self.assertEqual([letter["record_index"] for letter in self.letters("whole")], [1])
        self.assertEqual(self.rows("whole"), 0)

    def test_a_request_may_decline_and_a_body_that_is_no_json_leaves_nothing(self):
        before = self.database.value("SELECT count(*) FROM dead_letter")
        self.assertEqual(self.node.post("telemetry", {"device_id": "declined"}, query="?dead_letter=false").status, 422)
        self.assertEqual(self.node.post("telemetry", '[{"device_id":"broken"},').status, 400)
        self.assertEqual(self.node.post("telemetry", telemetry("behind-them")).status, 200)
        self.assertEqual(self.database.value("SELECT count(*) FROM dead_letter"), before)

    def test_no_client_may_send_to_the_stream_itself(self):
        self.assertEqual(self.node.post("dead_letter", {"stream": "x"}).status, 404)

    def test_a_wrong_command_line_says_what_is_wrong(self):
        self.assertIn("not the id of a dead letter", self.command("show", "7", exit_code=64).stderr)
        self.assertIn("neither an age", self.command("list", "--since", "soon", exit_code=64).stderr)
        self.assertIn("Say which", self.command("replay", exit_code=64).stderr)
        self.assertIn("Say which", self.command("purge", exit_code=64).stderr)
        unknown = "01900000-0000-7000-8000-000000000000"
        self.assertIn("no dead letter of this id", self.command("show", unknown, exit_code=1).stderr)


class Replayed(DeadLetterTest):
    deletes_rows = True  # purge

    def refuse_above(self, limit):
        self.database.query(f"ALTER TABLE telemetry ADD CONSTRAINT not_above CHECK (pressure <= {limit})")

    def allow_all(self):
        self.database.query("ALTER TABLE telemetry DROP CONSTRAINT not_above")

    def test_what_the_database_refused_comes_back_when_it_does_not_refuse_it_any_more(self):
        self.refuse_above(100)
        self.addCleanup(self.database.query, "ALTER TABLE telemetry DROP CONSTRAINT IF EXISTS not_above")
        body = [telemetry("check", second, pressure=pressure) for second, pressure in ((1, 50.5), (2, 150.25))]
        self.node.post("telemetry", body, {"Ack": "commit"})
        letter = self.letters("check")[0]
        self.assertEqual((letter["code"], letter["sqlstate"], letter["payload_form"]), ("database_refused", "23514", "row"))
        self.assertIn("not_above", letter["message"])
        payload = json.loads(self.command("show", letter["id"], "--raw").stdout)
        self.assertEqual((payload["device_id"], payload["pressure"]), ("check", 150.25))

        # Refused once more: the new letter takes the old one's place, and there is one to replay, not two.
        again = self.command("replay", "--id", letter["id"], exit_code=1)
        self.assertIn("refused again: database_refused", again.stderr)
        waiting = [each for each in self.letters("check", count=2) if each["replayed_at"] is None]
        self.assertEqual(len(waiting), 1)
        self.assertNotEqual(waiting[0]["id"], letter["id"])

        self.allow_all()
        dry = self.command("replay", "--stream", "telemetry", "--code", "database_refused", "--dry-run")
        self.assertIn("1 would be sent", dry.stdout)
        self.assertEqual(self.rows("check"), 1)
        done = self.command("replay", "--stream", "telemetry", "--code", "database_refused")
        self.assertIn("1 of 1 replayed", done.stdout)
        self.assertEqual(self.rows("check"), 2)
        row = self.database.query("SELECT temperature IS NULL, pressure, source_system FROM telemetry "
                                  "WHERE device_id = 'check' AND pressure > 100")
        self.assertEqual(row, [["t", "150.25", "scada"]])

        self.assertIn("0 of 0 replayed", self.command("replay", "--code", "database_refused").stdout)
        named = self.command("replay", "--id", waiting[0]["id"], exit_code=1)
        self.assertIn("it was replayed at 20", named.stderr)
        self.assertEqual(self.rows("check"), 2)

    def test_what_is_refused_again_by_the_node_stays_and_makes_no_second_letter(self):
        self.node.post("telemetry", telemetry("stays", rpm="x"))
        letter = self.letters("stays")[0]
        for _ in range(2):
            self.assertIn("refused again: wrong_type", self.command("replay", "--id", letter["id"], exit_code=1).stderr)
        self.assertEqual([each["id"] for each in self.letters("stays")], [letter["id"]])

    def test_purge_deletes_what_is_named_and_only_with_yes(self):
        self.node.post("telemetry", telemetry("purged", rpm="x"))
        self.letters("purged")
        self.assertRegex(self.command("purge", "--before", "1s").stdout, r"dead letters would be deleted")
        self.assertEqual(len(self.letters("purged")), 1)
        self.assertIn("0 dead letters deleted", self.command("purge", "--before", "1d", "--yes").stdout)
        self.assertEqual(len(self.letters("purged")), 1)
        wait_until(lambda: not re.match("0 ", self.command("purge", "--before", "1s", "--yes").stdout), "one is a second old")
        self.assertEqual(self.database.value("SELECT count(*) FROM dead_letter WHERE device_id = 'purged'"), "0")

    def test_without_a_node_the_replay_says_so_and_marks_nothing(self):
        self.node.post("telemetry", telemetry("alone", rpm="x"))
        letter = self.letters("alone")[0]
        done = self.command("replay", "--id", letter["id"], "--node", "127.0.0.1:1", exit_code=1)
        self.assertIn("Connection refused", done.stderr)
        self.assertIsNone(self.letters("alone")[0]["replayed_at"])


class ChangedConfiguration(unittest.TestCase):
    def test_what_a_stream_refused_comes_back_when_its_configuration_takes_it(self):
        database = Database()
        self.addCleanup(database.drop)
        database.query("CREATE TABLE tanks (at timestamptz NOT NULL, tank text NOT NULL, level real)")
        stream = ('[streams.tanks]\ndevice = "tank"\ntime = "at"\n'
                  '[[streams.tanks.columns]]\nname = "at"\ntype = "timestamptz"\n'
                  '[[streams.tanks.columns]]\nname = "tank"\ntype = "text"\n'
                  '[[streams.tanks.columns]]\nname = "level"\ntype = "real"\n')
        record = {"at": telemetry("x")["timestamp"], "tank": "north", "level": 12}
        strict = Node(database.url, stream + 'max = 10\nout_of_range = "reject"\n')
        self.addCleanup(strict.remove)
        strict.start()
        self.assertEqual(strict.post("tanks", record).status, 422)
        wait_until(lambda: database.value("SELECT count(*) FROM dead_letter") == "1", "the letter is stored")
        check_conservation(strict)
        audit(strict)
        strict.terminate()

        lenient = Node(database.url, stream, http_ack="commit")
        self.addCleanup(lenient.remove)
        lenient.start()
        done = lenient.run("dead-letter", "replay", "--all", check=True)
        self.assertIn("1 of 1 replayed", done.stdout)
        self.assertEqual(database.query("SELECT tank, level FROM tanks"), [["north", "12"]])
        check_conservation(lenient)
        audit(lenient)
        lenient.terminate()


if __name__ == "__main__":
    unittest.main(verbosity=2)
