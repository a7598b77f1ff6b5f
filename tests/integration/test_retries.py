"""Clients that repeat what they are not sure of, against a node that is killed under them: each record is stored once."""

import json
import random
import secrets
import threading
import time
import unittest

from support import WAIT_SECONDS, Database, Node, check_conservation, ndjson, telemetry, wait_until

KILLS = 8
RECORDS_PER_REQUEST = 20
LINES_AT_ONCE = 500
# Each of the kills may come before anything is answered, and on a busy machine a node takes seconds to start.
ANSWER_SECONDS_MAX = WAIT_SECONDS * 3

# So small that segments with keys are trimmed while the test runs.
SMALL_JOURNAL = """
journal.segment_bytes = "512KiB"
journal.block_bytes_max = "508KiB"
journal.keep_bytes = 0
journal.keep_time = "0s"
pipeline.batch_bytes = "128KiB"
"""


class RetriesTest(unittest.TestCase):
    def setUp(self):
        self.seed = random.SystemRandom().randrange(1 << 32)
        self.random = random.Random(self.seed)
        self.database = Database()
        self.addCleanup(self.database.drop)
        self.failures = []
        self.killing = threading.Event()  # clients go on while it is set
        self.killing.set()
        print(f"seed {self.seed}")

    def start(self, config="", **settings):
        node = Node(self.database.url, config, **settings)
        self.addCleanup(node.remove)
        return node.start()

    def rows(self):
        """How many there are, and how many different ones."""
        return [int(value) for value in self.database.query(
            "SELECT count(*), count(DISTINCT (device_id, rpm)) FROM telemetry")[0]]

    def assert_each_is_there_once(self, node, count):
        wait_until(lambda: self.rows()[1] == count, f"all {count} records are committed, not {self.rows()}")
        check_conservation(node)
        node.terminate()  # and nothing more comes with the end
        self.assertEqual(self.rows(), [count, count])

    def run_clients(self, node, clients):
        """Runs each client in a thread of its own, and kills the node again and again meanwhile."""

        def run(client):
            try:
                client()
            except Exception as failure:  # a thread's failure is the test's
                self.failures.append(failure)

        threads = [threading.Thread(target=run, args=(client,)) for client in clients]
        for thread in threads:
            thread.start()
        for _ in range(KILLS):
            time.sleep(self.random.uniform(0.05, 0.4))
            node.kill()
            node.start(ready=False)
        self.killing.clear()
        for thread in threads:
            thread.join(WAIT_SECONDS * 4)
            self.assertFalse(thread.is_alive(), "a client does not come to its end")
        self.assertEqual(self.failures, [])

    def post_until_answered(self, node, body, key):
        """The reply to a request that is repeated under its key whatever comes in between."""
        deadline = time.monotonic() + ANSWER_SECONDS_MAX
        while time.monotonic() < deadline:
            try:
                reply = node.post("telemetry", body, {"Content-Type": "application/x-ndjson", "Idempotency-Key": key})
            except (OSError, ValueError, json.JSONDecodeError):
                time.sleep(0.01)  # the node is dead, or died over the request
                continue
            except Exception as failure:  # http.client's own
                if type(failure).__module__ != "http.client":
                    raise
                continue
            if reply.status == 200:
                return reply
            if reply.status not in (409, 429, 503):
                raise AssertionError(f"status {reply.status}: {reply.text}")
            time.sleep(0.01)
        raise AssertionError("the node does not come back")

    def test_requests_repeated_under_their_key_are_stored_once_whatever_dies(self):
        node = self.start()
        sent = []  # a number of records for each request
        replayed = []

        def client(name, choices):
            first = 0
            while self.killing.is_set():
                body = ndjson(telemetry(name, rpm=first + index) for index in range(RECORDS_PER_REQUEST))
                first += RECORDS_PER_REQUEST
                key = secrets.token_hex(8)
                reply = self.post_until_answered(node, body, key)
                self.assertEqual(reply.json["accepted"], RECORDS_PER_REQUEST)
                sent.append(RECORDS_PER_REQUEST)
                if reply.headers["Idempotency-Replayed"]:
                    replayed.append(key)
                if choices.random() < 0.3:  # once more, for nothing
                    again = self.post_until_answered(node, body, key)
                    self.assertEqual(again.text, reply.text)
                    self.assertEqual(again.headers["Idempotency-Replayed"], "true")

        names = [f"client-{number}" for number in range(4)]
        self.run_clients(node, [lambda name=name: client(name, random.Random(f"{self.seed} {name}")) for name in names])
        print(f"{len(sent)} requests, {len(replayed)} replies came with a repetition only")
        self.assert_each_is_there_once(node, sum(sent))

    def test_lines_of_producers_are_stored_once_whatever_dies(self):
        node = self.start()

        acknowledged = {}
        begun = {}  # the last line that may have reached a node
        connections = []

        def more(producer):
            """What was begun is brought to its end: lines that no answer came for may be stored."""
            return self.killing.is_set() or acknowledged[producer] < begun[producer]

        def talk(producer, connection):
            """One connection, as docs/protocol.md tells, until it breaks or there is nothing more to say."""
            said = connection.makefile("rb")
            first = acknowledged[producer] + 1
            connection.sendall(json.dumps({"producer": producer, "sequence": first}).encode() + b"\n")
            while more(producer):
                last = (first + LINES_AT_ONCE - 1) // LINES_AT_ONCE * LINES_AT_ONCE
                begun[producer] = last
                connection.sendall(ndjson(telemetry(producer, rpm=number) for number in range(first, last + 1)))
                while acknowledged[producer] < last:
                    line = said.readline()
                    if not line:
                        return
                    told = json.loads(line)
                    self.assertNotIn("reject", told)
                    acknowledged[producer] = max(acknowledged[producer], told.get("ack", told.get("sequence", 0)))
                first = last + 1

        def client(producer):
            acknowledged[producer] = begun[producer] = 0
            deadline = time.monotonic() + ANSWER_SECONDS_MAX
            while more(producer):
                self.assertLess(time.monotonic(), deadline, "the node does not come back")
                try:
                    with node.socket("ndjson") as connection:
                        connections.append(producer)
                        talk(producer, connection)
                except (OSError, json.JSONDecodeError):
                    time.sleep(0.01)

        producers = ["pump-1", "pump-2", "pump-3"]
        self.run_clients(node, [lambda name=name: client(name) for name in producers])
        print(f"{sum(acknowledged.values())} lines over {len(connections)} connections")
        self.assertGreater(len(connections), len(producers))
        self.assert_each_is_there_once(node, sum(acknowledged.values()))

    def test_keys_are_remembered_longer_than_the_journal_holds_their_rows(self):
        node = self.start(SMALL_JOURNAL)
        requests = {}
        number = 0
        while not requests or node.metric("wellhead_journal_segments_trimmed_total") < 2:
            for _ in range(20):
                body = ndjson(telemetry("a", rpm=number + index) for index in range(RECORDS_PER_REQUEST))
                number += RECORDS_PER_REQUEST
                key = secrets.token_hex(8)
                requests[key] = (body, self.post_until_answered(node, body, key).text)
            self.assertLess(len(requests), 20000, "nothing is trimmed")
        node.kill()
        node.start()
        for key, (body, text) in requests.items():
            reply = self.post_until_answered(node, body, key)
            self.assertEqual((reply.text, reply.headers["Idempotency-Replayed"]), (text, "true"))
        self.assert_each_is_there_once(node, number)

    def test_a_clean_stop_forgets_nothing(self):
        node = self.start()
        body = ndjson([telemetry("a", rpm=1)])
        reply = self.post_until_answered(node, body, "k")
        node.terminate()
        node.start()
        again = self.post_until_answered(node, body, "k")
        self.assertEqual((again.text, again.headers["Idempotency-Replayed"]), (reply.text, "true"))
        other = node.post("telemetry", ndjson([telemetry("b", rpm=2)]), {"Idempotency-Key": "k"})
        self.assertEqual((other.status, other.json["error"]["code"]), (422, "idempotency_key_conflict"))
        self.assert_each_is_there_once(node, 1)

    def test_without_a_journal_a_key_is_refused_and_nothing_stored(self):
        node = self.start(journal_enabled=False)
        reply = node.post("telemetry", ndjson([telemetry("a", rpm=1)]), {"Idempotency-Key": "k"})
        self.assertEqual((reply.status, reply.json["error"]["code"]), (400, "idempotency_unavailable"))
        with node.socket("ndjson") as connection:
            connection.sendall(b'{"producer":"pump"}\n' + ndjson([telemetry("a", rpm=2)]))
            said = json.loads(connection.makefile("rb").readline())
        self.assertEqual(said["reject"]["code"], "producer_unavailable")
        self.assert_each_is_there_once(node, 0)


if __name__ == "__main__":
    unittest.main()
