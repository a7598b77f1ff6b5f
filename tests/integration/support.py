"""What whole-node tests stand on: a database of their own, a node of their own, and a plain HTTP client.

WELLHEAD_BIN_DIR is where the programs are, WELLHEAD_TEST_DATABASE_URL a superuser's URL of a maintenance database.
Everything listens on loopback and is stopped and removed by the test that made it.
"""

import contextlib
import http.client
import json
import os
import pathlib
import random
import re
import secrets
import signal
import socket
import subprocess
import tempfile
import time
import unittest
import urllib.parse

WAIT_SECONDS = 30

BIN_DIR = pathlib.Path(os.environ["WELLHEAD_BIN_DIR"])
DATABASE_URL = os.environ.get("WELLHEAD_TEST_DATABASE_URL")  # not needed by tests with a server of their own

# Of a node that acknowledges only what is committed.
WITHOUT_JOURNAL = "journal.enabled = false\n"

# Inside every stream's window, and fixed so that rows can be compared.
T0 = int(time.time()) - 3600


def stamp(offset_seconds=0):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(T0 + offset_seconds))


def telemetry(device, offset_seconds=0, **fields):
    return {"timestamp": stamp(offset_seconds), "device_id": device, **fields}


def ndjson(records):
    return b"".join(json.dumps(record).encode() + b"\n" for record in records)


def free_port():
    """A port that is nobody else's while this process lives, also before its node listens and while it is dead.

    A socket of ours stays bound to it and never listens. Servers bind with SO_REUSEADDR, which lets them in beside that one;
    another test's reservation does not, and finds it taken. It lies below the range that outgoing connections take theirs from:
    a client that tries to reach a dead node must not be given its port, or even connect to itself."""
    while True:
        reservation = socket.socket()
        try:
            reservation.bind(("127.0.0.1", random.randrange(10000, 32000)))
        except OSError:
            reservation.close()
            continue
        # Only now: with it, the bind above would have succeeded on another test's port.
        reservation.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        port = reservation.getsockname()[1]
        reservation.detach()  # closed by nobody but the end of the process
        return port


def wait_until(condition, what, seconds=WAIT_SECONDS):
    """Returns condition()'s first true value; fails the test when there is none in time."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(0.02)


class Database:
    """A database of the test's own on the test cluster."""

    def __init__(self, maintenance_url=DATABASE_URL):
        if not maintenance_url:
            raise AssertionError("WELLHEAD_TEST_DATABASE_URL is not set: this test needs a database server")
        self.maintenance_url = maintenance_url
        self.name = "wellhead_test_" + secrets.token_hex(6)
        parts = urllib.parse.urlsplit(maintenance_url)
        self.url = urllib.parse.urlunsplit(parts._replace(path="/" + self.name))
        psql(maintenance_url, f'CREATE DATABASE "{self.name}"')

    def drop(self):
        psql(self.maintenance_url, f'DROP DATABASE IF EXISTS "{self.name}" WITH (FORCE)')

    def query(self, sql):
        """Rows as lists of text; NULL is the empty string."""
        return psql(self.url, sql)

    def value(self, sql):
        return self.query(sql)[0][0]


def without_password(url):
    """The URL without its password, and the environment of a program of libpq that has it there: everyone may read command lines."""
    parts = urllib.parse.urlsplit(url)
    account, at, hosts = parts.netloc.rpartition("@")
    user, colon, password = account.partition(":")
    if not colon:
        return url, dict(os.environ)
    return urllib.parse.urlunsplit(parts._replace(netloc=user + at + hosts)), {**os.environ, "PGPASSWORD": urllib.parse.unquote(password)}


def psql(url, sql):
    address, environment = without_password(url)
    done = subprocess.run(
        ["psql", "--no-psqlrc", "--quiet", "--no-align", "--tuples-only", "--field-separator=\t", "-v", "ON_ERROR_STOP=1",
         "--dbname", address, "--command", sql],
        env=environment, capture_output=True, text=True, timeout=WAIT_SECONDS * 2, check=False)
    if done.returncode != 0:
        raise AssertionError(f"psql failed: {done.stderr}\n{sql}")
    return [line.split("\t") for line in done.stdout.splitlines()]


class Reply:
    def __init__(self, response):
        self.status = response.status
        self.headers = response.headers
        self.text = response.read().decode()

    @property
    def json(self):
        return json.loads(self.text)


class Node:
    """A running `wellhead serve` with ports and a journal of its own."""

    def __init__(self, database_url=None, config="", sink="postgres", environment=None, migrate=True, **settings):
        # On a disk: /tmp is memory on newer systems, where nothing is durable.
        self.folder = tempfile.TemporaryDirectory(prefix="wellhead-node-", dir=os.environ.get("TMPDIR", "/var/tmp"))
        self.ports = {name: free_port() for name in ("http", "ndjson", "admin")}
        self.environment = {key: value for key, value in os.environ.items() if not key.startswith(("PG", "WELLHEAD_"))}
        if database_url:
            self.environment["WELLHEAD_DATABASE_URL"] = database_url
        self.environment.update(environment or {})
        self.config_path = pathlib.Path(self.folder.name, "wellhead.toml")
        self.log_path = pathlib.Path(self.folder.name, "log")
        self.journal = pathlib.Path(self.folder.name, "journal")
        self.settings = {"node.id": "test", "sink.kind": sink, "server.reactors": 1, "server.shards": 2,
                         "http.listen": f"127.0.0.1:{self.ports['http']}", "ndjson.listen": f"127.0.0.1:{self.ports['ndjson']}",
                         "ndjson.acknowledge": True, "admin.listen": f"127.0.0.1:{self.ports['admin']}",
                         "journal.dir": str(self.journal)}
        self.config = config
        self.configure(**settings)
        if migrate and database_url:
            self.run("migrate", "up", check=True)
        self.process = None

    def configure(self, **settings):
        """Changes settings for the next start: `server_shards=3` is server.shards = 3."""
        self.settings.update({key.replace("_", ".", 1): value for key, value in settings.items()})
        lines = [f"{key} = {json.dumps(value)}\n" for key, value in self.settings.items()]
        self.config_path.write_text("".join(lines) + self.config)

    def run(self, *arguments, check=False):
        done = subprocess.run([BIN_DIR / "wellhead", *arguments, "--config", self.config_path], env=self.environment,
                              capture_output=True, text=True, timeout=WAIT_SECONDS * 2, check=False)
        if check and done.returncode != 0:
            raise AssertionError(f"wellhead {' '.join(arguments)} exited {done.returncode}:\n{done.stdout}{done.stderr}")
        return done

    def start(self, ready=True):
        self.launch()
        wait_until(self.is_ready if ready else self.is_live, f"the node is up; the log says:\n{self.log()}")
        return self

    def launch(self):
        """Starts the process and waits for nothing."""
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen([BIN_DIR / "wellhead", "serve", "--config", self.config_path],
                                            env=self.environment, stdout=log, stderr=log, stdin=subprocess.DEVNULL)

    def kill(self):
        """SIGKILL, as a crash would; it must have been running."""
        self.check_running()
        self.process.kill()
        self.process.wait()

    def check_running(self):
        if self.process.poll() is not None:
            raise AssertionError(f"the node exited {self.process.returncode}:\n{self.log()}")

    def is_live(self):
        self.check_running()
        with contextlib.suppress(OSError):
            return self.admin("/health/live").status == 200
        return False

    def is_ready(self):
        """Takes records and writes them: without its database it would be no more than "degraded"."""
        self.check_running()
        with contextlib.suppress(OSError):
            return self.admin("/health/ready").json["status"] == "ready"
        return False

    def log(self):
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def admin(self, path):
        return request(self.ports["admin"], "GET", path)

    def post(self, stream, body, headers=None, query=""):
        if not isinstance(body, (bytes, str)):
            body = json.dumps(body)
        return request(self.ports["http"], "POST", f"/v1/ingest/{stream}{query}", body, headers or {})

    def socket(self, listener):
        return socket.create_connection(("127.0.0.1", self.ports[listener]), timeout=WAIT_SECONDS)

    def metrics(self):
        """Every sample by its name and labels, as text before the value: {'wellhead_x_total{a="b"}': 3.0}."""
        samples = {}
        for line in self.admin("/metrics").text.splitlines():
            if line and not line.startswith("#"):
                name, value = line.rsplit(" ", 1)
                samples[name] = float(value)
        return samples

    def metric(self, name, **labels):
        """The sum of the samples of `name` that have these labels."""
        total = 0.0
        for key, value in self.metrics().items():
            if re.split(r"[{ ]", key, maxsplit=1)[0] != name:
                continue
            if all(f'{label}="{text}"' in key for label, text in labels.items()):
                total += value
        return total

    def terminate(self, expected_exit=0):
        """TERM, then the exit code is checked: the way every test's node ends."""
        if self.process is None or self.process.poll() is not None:
            return
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(WAIT_SECONDS * 2)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"the node did not stop on TERM; the log says:\n{self.log()}") from None
        if self.process.returncode != expected_exit:
            raise AssertionError(f"the node exited {self.process.returncode}, not {expected_exit}:\n{self.log()}")

    def remove(self):
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.folder.cleanup()


def request(port, method, path, body=None, headers=None):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=WAIT_SECONDS)
    try:
        connection.request(method, path, body, headers or {})
        return Reply(connection.getresponse())
    finally:
        connection.close()


def read_replies(connection, count=1):
    """Reads `count` HTTP replies from a socket; None for each that does not come before the other side closes."""
    replies = []
    stream = connection.makefile("rb")
    for _ in range(count):
        status_line = stream.readline()
        if not status_line:
            replies.append(None)
            continue
        headers = http.client.parse_headers(stream)
        body = stream.read(int(headers.get("Content-Length", 0)))
        replies.append((int(status_line.split()[1]), headers, body.decode()))
    return replies


class NodeTest(unittest.TestCase):
    """A node on a database of its own, for all tests of the class. The identity is checked when it stops.

    It acknowledges what is committed, so that a test may look into the table as soon as it has its reply.
    """

    config = ""
    deletes_rows = False  # the tests delete rows, which the audit then rightly misses

    @classmethod
    def setUpClass(cls):
        cls.database = Database()
        cls.addClassCleanup(cls.database.drop)
        cls.node = Node(cls.database.url, cls.config, http_ack="commit", ndjson_ack="commit")
        cls.addClassCleanup(cls.node.remove)
        cls.node.start()

    @classmethod
    def tearDownClass(cls):
        check_conservation(cls.node)
        if not cls.deletes_rows:
            audit(cls.node)
        cls.node.terminate()


def check_conservation(node):
    """received + recovered = committed + queued + rejected + quarantined + duplicate + abandoned, from the exported counters."""
    samples = node.metrics()
    total = {}
    for key, value in samples.items():
        match = re.match(r"wellhead_records_(received|recovered|committed|queued|rejected|quarantined|duplicate|abandoned)(_total)?(\{|$)", key)
        if match:
            total[match[1]] = total.get(match[1], 0) + value
    received = total.pop("received") + total.pop("recovered", 0)
    if received != sum(total.values()) or len(total) != 6:
        raise AssertionError(f"conservation broken: received {received}, elsewhere {total}")


def audit(node):
    """What the journal holds is in the database once, or queued, or quarantined: beside the running node or after it. Returns
    the audit's report, None for a node without a journal."""
    if not node.journal.exists():
        return None
    done = node.run("audit", "--json")
    if done.returncode != 0:
        raise AssertionError(f"the audit exited {done.returncode}:\n{done.stdout}{done.stderr}")
    report = json.loads(done.stdout)
    identity = report["identity"]
    if identity["journaled"] != sum(identity[part] for part in ("committed", "queued", "quarantined", "lost")):
        raise AssertionError(f"the audit's identity is broken: {identity}")
    if not report["holds"] or identity["found"] != identity["committed"]:
        raise AssertionError(f"the audit finds committed rows not in their place: {report}")
    return report
