"""Bad input gets a clear error and a counter, and nothing else suffers: after each case a good record still goes in."""

import contextlib
import gzip
import json
import socket
import time
import unittest

from support import NodeTest, ndjson, read_replies, telemetry, wait_until


class BadRecords(NodeTest):
    """One bad record between two good ones: it alone is rejected, by its code, and its neighbours are stored."""

    cases = [
        ("malformed_json", b'{"timestamp":"2026-01-01T00:00:00Z","device_id":', ""),
        ("malformed_json", b'{"device_id":"x" "timestamp":1}', ""),
        ("malformed_json", b"not json", ""),
        ("invalid_utf8", b'{"timestamp":"%T%","device_id":"\xff\xfe"}', ""),
        ("not_an_object", b"[1,2,3]", ""),
        ("not_an_object", b"42", ""),
        ("wrong_type", b'{"timestamp":"%T%","device_id":"x","temperature":"hot"}', "temperature"),
        ("wrong_type", b'{"timestamp":"%T%","device_id":7}', "device_id"),
        ("wrong_type", b'{"timestamp":true,"device_id":"x"}', "timestamp"),
        ("missing_field", b'{"timestamp":"%T%"}', "device_id"),
        ("missing_field", b'{"timestamp":null,"device_id":"x"}', "timestamp"),
        ("invalid_timestamp", b'{"timestamp":"yesterday","device_id":"x"}', "timestamp"),
        ("invalid_timestamp", b'{"timestamp":"2026-02-30T00:00:00Z","device_id":"x"}', "timestamp"),
        ("timestamp_out_of_window", b'{"timestamp":"0099-01-01T00:00:00Z","device_id":"x"}', "timestamp"),
        ("timestamp_out_of_window", b'{"timestamp":"9999-01-01T00:00:00Z","device_id":"x"}', "timestamp"),
        ("nested_value", b'{"timestamp":"%T%","device_id":"x","vibration":{"value":1}}', "vibration"),
        ("nested_value", b'{"timestamp":"%T%","device_id":["x"]}', "device_id"),
        ("duplicate_key", b'{"timestamp":"%T%","device_id":"x","rpm":1,"rpm":2}', "rpm"),
        ("unknown_unit", b'{"timestamp":"%T%","device_id":"x","temperature":1,"temperature_unit":"furlong"}', "temperature"),
        ("text_too_long", b'{"timestamp":"%T%","device_id":"' + b"x" * 65 + b'"}', "device_id"),
        ("text_too_long", b'{"timestamp":"%T%","device_id":""}', "device_id"),
        ("nul_character", b'{"timestamp":"%T%","device_id":"a\\u0000b"}', "device_id"),
        ("too_deep", b'{"timestamp":"%T%","device_id":"x","extra":' + b"[" * 5000 + b"]" * 5000 + b"}", ""),
        ("record_too_large", b'{"timestamp":"%T%","device_id":"x","extra":"' + b"y" * (1 << 20) + b'"}', ""),
    ]

    def test_each_kind_of_bad_record_costs_only_itself(self):
        for number, (code, line, field) in enumerate(self.cases):
            with self.subTest(code=code, line=line[:80]):
                device = f"neighbour-{number}"
                good = [ndjson([telemetry(device, second, rpm=second)]) for second in (0, 1)]
                line = line.replace(b"%T%", telemetry("x")["timestamp"].encode())
                before = self.node.metric("wellhead_records_rejected_total", code=code)
                reply = self.node.post("telemetry", good[0] + line + b"\n" + good[1],
                                       {"Content-Type": "application/x-ndjson"})
                self.assertEqual(reply.status, 200, reply.text)
                self.assertEqual((reply.json["accepted"], reply.json["rejected"]), (2, 1), reply.text)
                error = reply.json["errors"][0]
                self.assertEqual((error["index"], error["code"]), (1, code), reply.text)
                self.assertEqual(error["field"], field or None, reply.text)
                self.assertGreater(len(error["message"]), 10)
                self.assertEqual(self.node.metric("wellhead_records_rejected_total", code=code), before + 1)
                self.assertEqual(self.database.query(
                    f"SELECT rpm FROM telemetry WHERE device_id = '{device}' ORDER BY timestamp"), [["0"], ["1"]])

    def test_a_number_that_its_type_cannot_hold_is_rejected_where_the_column_has_no_range(self):
        record = {"id": 7, "well_id": "w", "timestamp": telemetry("x")["timestamp"]}
        for change in ({"id": 2**63}, {"pip": 1e39}):
            reply = self.node.post("esp_telemetry", {**record, **change})
            self.assertEqual(reply.status, 422, reply.text)
            self.assertEqual(reply.json["errors"][0]["code"], "number_out_of_range")

    def test_a_value_out_of_range_costs_the_value_and_nothing_else(self):
        refused = self.node.metric("wellhead_records_quarantined_total")
        now = telemetry("ranges", temperature=20.5, vibration=0.25, pressure=100, flow_rate=900)
        now["timestamp"] = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())  # or it would be late
        changes = [{}, {"temperature": 201}, {"pressure": -0.5, "rpm": 1e39}, {"temperature": 500, "temperature_unit": "F"}]
        reply = self.node.post("telemetry", [{**now, **change} for change in changes])
        self.assertEqual(reply.status, 200, reply.text)
        self.assertEqual((reply.json["accepted"], reply.json["rejected"], reply.json["errors"]), (4, 0, []), reply.text)
        flags = f"quality_flags & {0xffff_ffff_00ff}"  # those that the record alone decides
        query = (f"SELECT temperature, pressure, rpm, array_to_string(wellhead_quality_reasons('telemetry', {flags}), ' ') "
                 f"FROM telemetry WHERE device_id = 'ranges' ORDER BY {flags}")
        rows = wait_until(lambda: (found := self.database.query(query)) and len(found) == 4 and found, "four rows")
        self.assertEqual(rows, [["20.5", "100", "", ""],
                                ["", "100", "", "repaired out_of_range:temperature"],
                                ["", "100", "", "unit_converted repaired out_of_range:temperature"],
                                ["20.5", "", "", "repaired out_of_range:pressure out_of_range:rpm"]])
        self.assertEqual(self.database.query(
            "SELECT data_quality_score FROM telemetry WHERE device_id = 'ranges' ORDER BY 1"),
            [["0.5"], ["0.75"], ["0.75"], ["1"]])
        self.assertEqual(self.node.metric("wellhead_records_quarantined_total"), refused, "a CHECK constraint fired")

    def test_what_the_database_refuses_is_that_row_alone(self):
        record = {"id": 11, "well_id": "dup", "timestamp": telemetry("x")["timestamp"]}
        self.assertEqual(self.node.post("esp_telemetry", record).status, 200)
        reply = self.node.post("esp_telemetry", [record, {**record, "id": 12}, {**record, "id": 13}])
        self.assertEqual(reply.status, 200, reply.text)
        self.assertEqual((reply.json["accepted"], reply.json["rejected"]), (2, 1))
        self.assertEqual((reply.json["errors"][0]["index"], reply.json["errors"][0]["code"]), (0, "database_refused"))
        self.assertIn("23505", reply.json["errors"][0]["message"])
        self.assertEqual(self.database.query("SELECT id FROM esp_telemetry WHERE well_id = 'dup' ORDER BY id"),
                         [["11"], ["12"], ["13"]])

    def test_a_body_that_is_not_json_at_all_is_400_and_stores_nothing(self):
        for body in (b'[{"timestamp":1,', b"[1,2", b"{\n\"device_id\":", b""):
            with self.subTest(body=body):
                reply = self.node.post("telemetry", body, {"Content-Type": "application/json"})
                self.assertEqual(reply.status, 400, reply.text)
                self.assertIn("message", reply.json["error"])

    def test_an_array_broken_in_the_middle_leaves_nothing_behind(self):
        good = json.dumps(telemetry("half-array"))
        reply = self.node.post("telemetry", f"[{good},{good},{{\"x\":", {"Content-Type": "application/json"})
        self.assertEqual(reply.status, 400, reply.text)
        self.assertEqual(self.database.value("SELECT count(*) FROM telemetry WHERE device_id = 'half-array'"), "0")

    def test_all_or_nothing(self):
        records = [telemetry("all-or-nothing"), {"device_id": "no time"}]
        reply = self.node.post("telemetry", records, query="?accept_partial=false")
        self.assertEqual(reply.status, 422, reply.text)
        self.assertEqual(self.database.value("SELECT count(*) FROM telemetry WHERE device_id = 'all-or-nothing'"), "0")

    def test_a_request_without_a_good_record_is_422(self):
        reply = self.node.post("telemetry", {"device_id": "x"})
        self.assertEqual(reply.status, 422, reply.text)
        self.assertEqual(reply.json["accepted"], 0)


class BadRequests(NodeTest):
    """Requests that are wrong as a whole."""

    config = """
[limits]
body_bytes_max = "1MiB"
inflated_bytes_max = "2MiB"
header_bytes_max = "8KiB"
header_timeout = "1s"
body_timeout = "2s"
"""

    def tearDown(self):
        reply = self.node.post("telemetry", telemetry("after", 1))
        self.assertEqual(reply.status, 200, "a bad request made the node refuse a good one: " + reply.text)

    def raw(self, data, count=1):
        with self.node.socket("http") as connection:
            connection.sendall(data)
            return read_replies(connection, count)

    def expect(self, reply, status, code=None):
        self.assertIsNotNone(reply, "closed without a reply")
        self.assertEqual(reply[0], status, reply[2])
        body = json.loads(reply[2])
        self.assertGreater(len(body["error"]["message"]), 5)
        if code:
            self.assertEqual(body["error"]["code"], code)

    @contextlib.contextmanager
    def counts(self, name, **labels):
        """Expects a counter to grow meanwhile."""
        before = self.node.metric(name, **labels)
        yield
        wait_until(lambda: self.node.metric(name, **labels) > before, f"{name}{labels} grows")

    def test_unknown_stream_and_path(self):
        self.assertEqual(self.node.post("no_such_stream", {}).status, 404)
        self.assertEqual(self.node.post("no_such_stream", {}).json["error"]["code"], "unknown_stream")
        self.expect(self.raw(b"POST /nowhere HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}")[0], 404, "not_found")

    def test_method(self):
        reply = self.raw(b"DELETE /v1/ingest/telemetry HTTP/1.1\r\nHost: x\r\n\r\n")[0]
        self.expect(reply, 405, "method_not_allowed")
        self.assertIn("POST", reply[1]["Allow"])

    def test_media_type_and_encoding(self):
        self.assertEqual(self.node.post("telemetry", "x", {"Content-Type": "image/png"}).status, 415)
        self.assertEqual(self.node.post("telemetry", "x", {"Content-Encoding": "br"}).status, 415)

    def test_no_length(self):
        self.expect(self.raw(b"POST /v1/ingest/telemetry HTTP/1.1\r\nHost: x\r\n\r\n")[0], 411, "length_required")

    def test_smuggling(self):
        head = b"POST /v1/ingest/telemetry HTTP/1.1\r\nHost: x\r\n"
        cases = {
            "two lengths": head + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}x",
            "length with chunked": head + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
            "bad chunk size": head + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
            "huge chunk size": head + b"Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n{}\r\n0\r\n\r\n",
            "chunked not last": head + b"Transfer-Encoding: chunked, identity\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
            "folded header": head + b"X: a\r\n b\r\nContent-Length: 2\r\n\r\n{}",
            "space before colon": head + b"Content-Length : 2\r\n\r\n{}",
            "negative length": head + b"Content-Length: -2\r\n\r\n{}",
            "not http": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        }
        for name, data in cases.items():
            with self.subTest(name), self.counts("wellhead_malformed_requests_total", part="http"):
                reply = self.raw(data)[0]
                self.expect(reply, 400, "malformed_http")
                self.assertEqual(reply[1]["Connection"], "close")

    def test_body_too_large_is_refused_before_it_is_read(self):
        with self.counts("wellhead_limit_hits_total", limit="body_bytes_max"):
            reply = self.raw(b"POST /v1/ingest/telemetry HTTP/1.1\r\nHost: x\r\nContent-Length: 104857600\r\n\r\n")[0]
            self.expect(reply, 413, "body_too_large")

    def test_chunked_body_too_large(self):
        chunk = b"10000\r\n" + b" " * 65536 + b"\r\n"
        with self.node.socket("http") as connection:
            connection.sendall(b"POST /v1/ingest/telemetry HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
            try:
                for _ in range(64):
                    connection.sendall(chunk)
            except OSError:
                pass  # refused in the middle, as it should be
            self.expect(read_replies(connection)[0], 413, "body_too_large")

    def test_zip_bomb(self):
        bomb = gzip.compress(b" " * (256 << 20), 9)
        self.assertLess(len(bomb), 1 << 20)
        before = self.node.metric("process_resident_memory_bytes")
        with self.counts("wellhead_limit_hits_total", limit="inflated_bytes_max"):
            reply = self.node.post("telemetry", bomb, {"Content-Encoding": "gzip"})
            self.assertEqual(reply.status, 413, reply.text)
        self.assertLess(self.node.metric("process_resident_memory_bytes") - before, 32 << 20)

    def test_broken_gzip(self):
        for body in (b"not gzip", gzip.compress(b"{}")[:-4]):
            reply = self.node.post("telemetry", body, {"Content-Encoding": "gzip"})
            self.assertEqual(reply.status, 400, reply.text)

    def test_header_flood(self):
        flood = b"".join(b"X-%d: %s\r\n" % (number, b"y" * 100) for number in range(1000))
        with self.counts("wellhead_limit_hits_total", limit="header_bytes_max"):
            self.expect(self.raw(b"POST /v1/ingest/telemetry HTTP/1.1\r\nHost: x\r\n" + flood)[0], 431, "headers_too_large")

    def test_depth_bomb_as_a_body(self):
        reply = self.node.post("telemetry", b"[" * 100_000, {"Content-Type": "application/json"})
        self.assertEqual(reply.status, 400, reply.text)

    def test_a_byte_at_a_time_runs_out_of_time(self):
        with self.counts("wellhead_limit_hits_total", limit="header_timeout"), self.node.socket("http") as connection:
            begin = time.monotonic()
            with self.assertRaises(OSError):
                for byte in b"POST /v1/ingest/telemetry HTTP/1.1\r\nX: " + b"y" * 100:
                    connection.sendall(bytes([byte]))
                    time.sleep(0.1)
            self.assertLess(time.monotonic() - begin, 5)

    def test_a_body_that_stops_runs_out_of_time(self):
        with self.counts("wellhead_limit_hits_total", limit="body_timeout"):
            reply = self.raw(b"POST /v1/ingest/telemetry HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")[0]
            self.expect(reply, 408, "request_timeout")

    def test_a_client_that_vanishes(self):
        with self.counts("wellhead_disconnects_early_total"), self.node.socket("http") as connection:
            connection.sendall(b"POST /v1/ingest/telemetry HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

    def test_expectations(self):
        head = b"POST /v1/ingest/telemetry HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: "
        self.assertEqual(self.raw(head + b"100-continue\r\n\r\n")[0][0], 100)
        self.expect(self.raw(head + b"a-miracle\r\n\r\n")[0], 417, "expectation_failed")


class BadLines(NodeTest):
    """NDJSON over TCP."""

    def test_a_hundred_megabyte_line_is_passed_over(self):
        with self.node.socket("ndjson") as connection:
            connection.sendall(ndjson([telemetry("long-line", 0)]))
            piece = b"x" * (1 << 20)
            for _ in range(100):
                connection.sendall(piece)
            connection.sendall(b"\n" + ndjson([telemetry("long-line", 1)]))
            connection.shutdown(socket.SHUT_WR)
            messages = [json.loads(line) for line in connection.makefile("rb")]
        rejects = [message["reject"] for message in messages if "reject" in message]
        self.assertEqual([(reject["line"], reject["code"]) for reject in rejects], [(2, "record_too_large")])
        self.assertEqual([message["ack"] for message in messages if "ack" in message][-1], 3)
        self.assertEqual(self.database.value("SELECT count(*) FROM telemetry WHERE device_id = 'long-line'"), "2")
        self.assertGreater(self.node.metric("wellhead_limit_hits_total", limit="line_bytes_max"), 0)
        self.assertLess(self.node.metric("process_resident_memory_bytes"), 256 << 20)

    def test_bad_lines_are_named_and_the_rest_is_acknowledged(self):
        lines = []
        for number in range(1, 2001):
            lines.append(b"broken\n" if number % 7 == 0 else ndjson([telemetry("lines", number)]))
        with self.node.socket("ndjson") as connection:
            connection.sendall(b"".join(lines))
            connection.shutdown(socket.SHUT_WR)
            messages = [json.loads(line) for line in connection.makefile("rb")]
        acks = [message["ack"] for message in messages if "ack" in message]
        self.assertEqual(acks, sorted(acks))
        self.assertEqual(acks[-1], 2000)
        rejected = [message["reject"]["line"] for message in messages if "reject" in message]
        self.assertEqual(rejected, [number for number in range(1, 2001) if number % 7 == 0])
        self.assertEqual(self.database.value("SELECT count(*) FROM telemetry WHERE device_id = 'lines'"),
                         str(2000 - len(rejected)))

    def test_blank_lines_count_as_lines_and_the_last_line_needs_no_newline(self):
        with self.node.socket("ndjson") as connection:
            connection.sendall(b"\n\r\n" + ndjson([telemetry("blank", 0)]) + b"\nbroken\n" +
                               json.dumps(telemetry("blank", 1)).encode())
            connection.shutdown(socket.SHUT_WR)
            messages = [json.loads(line) for line in connection.makefile("rb")]
        self.assertEqual([message["reject"]["line"] for message in messages if "reject" in message], [5])
        self.assertEqual([message["ack"] for message in messages if "ack" in message][-1], 6)
        self.assertEqual(self.database.value("SELECT count(*) FROM telemetry WHERE device_id = 'blank'"), "2")


if __name__ == "__main__":
    unittest.main(verbosity=2)
