"""Loaders and agents that are measured where they are found; this repository installs none of them.

Agents take the records as lines over TCP, which costs them less than HTTP, and no answer says when a row is in the table. So the table
is asked for the last row by its index, in a session that stays open, which costs the database next to nothing; all rows are counted once
that is there. Both are part of the CPU that is told for the database.
"""

import functools
import json
import pathlib
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.parse

import peers
from drive import result
from harness import LOAD_SECONDS_MAX
from processes import CpuMeter
from support import free_port, without_password

CONNECT_SECONDS_MAX = 20
ASK_SECONDS = 0.2


class Session:
    """psql that stays connected, for a question asked again and again: starting a backend costs more than the answer."""

    def __init__(self, url):
        address, environment = without_password(url)
        self.process = subprocess.Popen(["psql", "--no-psqlrc", "--quiet", "--no-align", "--tuples-only", "-v", "ON_ERROR_STOP=1", "--dbname", address],
                                        env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate()

    def number(self, sql):
        """Of a query that gives one row with a whole number."""
        self.process.stdin.write(sql + ";\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline().strip()
        if not answer.isdigit():
            raise AssertionError(f"psql says {answer!r} to {sql}")
        return int(answer)


def last_line(path):
    with open(path, "rb") as file:
        file.seek(-min(4096, path.stat().st_size), 2)
        return file.read().splitlines()[-1]


def send_file(port, path):
    """Sends the file to the agent, once that listens."""
    deadline = time.monotonic() + CONNECT_SECONDS_MAX
    while True:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=LOAD_SECONDS_MAX) as connection, open(path, "rb") as file:
                begin = time.monotonic()
                connection.sendfile(file)
                return begin
        except ConnectionRefusedError:
            if time.monotonic() > deadline:
                raise AssertionError(f"nothing listens on port {port} after {CONNECT_SECONDS_MAX} s") from None
            time.sleep(0.05)


class Agent:
    """A program that takes lines over TCP and writes rows. Subclasses say how it is configured."""

    foreign = True
    share_of_rows = 0.02  # most insert row by row
    table = "telemetry"
    program = None

    def absence(self):
        return None if shutil.which(self.program) else f"there is no {self.program} on PATH"

    def version(self):
        return peers.first_line(self.program, "--version")

    def prepare(self, stage):
        """What the agent needs in the database."""

    def measure(self, stage, rows):
        path = stage.peer_file(f"{rows}.ndjson", "format text", f"{peers.NDJSON_QUERY} LIMIT {rows}")
        stage.fresh()
        self.prepare(stage)
        port = free_port()
        with tempfile.TemporaryDirectory(prefix="agent-", dir=stage.folder) as folder:
            peer = peers.Process(stage, self.command(pathlib.Path(folder), port, stage.url))
            with peer as process, Session(stage.url) as session:
                session.number(self.arrival(path))
                meter = CpuMeter(service=process.pid, database=stage.database_pid)
                begin = send_file(port, path)
                seconds = self.wait(session, self.arrival(path), peer, process, begin, rows)
                return result(rows, seconds, meter.spent())

    def arrival(self, path):
        """A query that is cheap and gives 0 until the last record of the file is in the table."""
        last = json.loads(last_line(path))
        return f"SELECT count(*) FROM {self.table} WHERE device_id = '{last['device_id']}' AND \"timestamp\" = '{last['timestamp']}'"

    def wait(self, session, arrival, peer, process, begin, rows):
        """Seconds until all rows are there; others may still be on their way behind the last one."""
        count = f"SELECT count(*) FROM {self.table}"
        while session.number(arrival) == 0 or session.number(count) < rows:
            if process.poll() is not None or time.monotonic() - begin > LOAD_SECONDS_MAX:
                raise AssertionError(f"{self.name} wrote {session.number(count)} of {rows} rows; it said:\n{peer.said()}")
            time.sleep(ASK_SECONDS)
        return time.monotonic() - begin


class Rsyslog(Agent):
    name = "rsyslog_ompgsql"
    title = "rsyslog, ompgsql"
    program = "rsyslogd"
    settings = "imptcp, mmjsonparse, ompgsql: an INSERT each, up to 1,024 in a transaction (queue.dequeueBatchSize), 2 queue workers"
    CONFIG = """
module(load="imptcp")
module(load="mmjsonparse")
module(load="ompgsql")
template(name="insert" type="list" option.stdsql="on") {{
  constant(value="INSERT INTO telemetry ({columns}) VALUES ('")
{values}
  constant(value="')")
}}
ruleset(name="store" queue.type="FixedArray" queue.size="200000" queue.dequeueBatchSize="1024" queue.workerThreads="2"
        queue.workerThreadMinimumMessages="1024") {{
  action(type="mmjsonparse" cookie="" useRawMsg="on")
  action(type="ompgsql" conninfo="{url}" template="insert")
}}
input(type="imptcp" port="{port}" address="127.0.0.1" ruleset="store")
"""

    @functools.cached_property
    def modules(self):
        """The folder of its modules, beside the program's."""
        program = shutil.which(self.program)
        found = sorted(pathlib.Path(program).resolve().parents[1].glob("lib*/**/rsyslog/ompgsql.so")) if program else []
        return found[0].parent if found else None

    def absence(self):
        return super().absence() or (None if self.modules else "rsyslogd is there without its module ompgsql (rsyslog-pgsql)")

    def version(self):
        return peers.first_line(self.program, "-v")

    def command(self, folder, port, url):
        values = '\n  constant(value="\',\'")\n'.join(f'  property(name="$!{column}")' for column in peers.DATA_COLUMNS)
        path = folder / "rsyslog.conf"
        path.write_text(self.CONFIG.format(columns=", ".join(peers.DATA_COLUMNS), values=values, url=url, port=port))
        return [self.program, "-n", "-f", path, "-i", folder / "pid", "-M", self.modules]


class Telegraf(Agent):
    name = "telegraf"
    title = "Telegraf"
    program = "telegraf"
    share_of_rows = 0.5
    settings = "inputs.socket_listener with json_v2, outputs.postgresql (COPY), metric_batch_size 10,000, 2 connections"
    CONFIG = """
[agent]
  flush_interval = "1s"
  metric_batch_size = 10000
  metric_buffer_limit = 2000000
  omit_hostname = true
[[inputs.socket_listener]]
  service_address = "tcp://127.0.0.1:{port}"
  data_format = "json_v2"
  [[inputs.socket_listener.json_v2]]
    measurement_name = "telemetry"
    timestamp_path = "timestamp"
    timestamp_format = "2006-01-02T15:04:05.999999Z07:00"
    [[inputs.socket_listener.json_v2.tag]]
      path = "device_id"
{fields}
[[outputs.postgresql]]
  connection = "{url}?pool_max_conns=2"
  timestamp_column_name = "timestamp"
  create_templates = []
  add_column_templates = []
"""

    def command(self, folder, port, url):
        fields = "\n".join(f'    [[inputs.socket_listener.json_v2.field]]\n      path = "{column}"\n      type = "float"' for column in peers.DATA_COLUMNS[2:])
        path = folder / "telegraf.conf"
        path.write_text(self.CONFIG.format(port=port, fields=fields, url=url))
        return [self.program, "--config", path]


class Vector(Agent):
    name = "vector"
    title = "Vector"
    program = "vector"
    share_of_rows = 0.5
    settings = "socket source with JSON lines, postgres sink (INSERT of jsonb_populate_recordset), 10,000 events a batch or 1 s, 2 connections"
    CONFIG = """
data_dir: {folder}
sources:
  lines: {{type: socket, mode: tcp, address: "127.0.0.1:{port}", decoding: {{codec: json}}, framing: {{method: newline_delimited}}}}
transforms:
  whole: {{type: remap, inputs: [lines], source: ".quality_flags = 0"}}
sinks:
  table: {{type: postgres, inputs: [whole], endpoint: "{url}", table: telemetry, pool_size: 2, batch: {{max_events: 10000, timeout_secs: 1}}}}
"""

    def command(self, folder, port, url):
        path = folder / "vector.yaml"
        path.write_text(self.CONFIG.format(folder=folder, port=port, url=url))
        return [self.program, "--quiet", "--config", path]


class FluentBit(Agent):
    name = "fluent_bit"
    title = "Fluent Bit, a table of its own"
    program = "fluent-bit"
    table = "fluentbit"
    settings = "tcp input with JSON lines, pgsql output: an INSERT each, into a table of its own of tag, time and jsonb, without our indexes"
    CONFIG = """
[SERVICE]
    flush 1
[INPUT]
    name   tcp
    listen 127.0.0.1
    port   {port}
    format json
[OUTPUT]
    name     pgsql
    match    *
    host     {address.hostname}
    port     {address.port}
    user     {address.username}
    password {address.password}
    database {database}
    table    fluentbit
    max_pool_size 4
"""

    def prepare(self, stage):
        stage.query("DROP TABLE IF EXISTS fluentbit")
        stage.query("CREATE TABLE fluentbit (tag varchar, time timestamp without time zone, data jsonb)")

    def arrival(self, path):
        """Its table has no index; it is small, and counting it at once is as cheap as looking for the last record."""
        return "SELECT 1"

    def command(self, folder, port, url):
        address = urllib.parse.urlsplit(url)
        path = folder / "fluent-bit.conf"
        path.write_text(self.CONFIG.format(port=port, address=address, database=address.path[1:]))
        return [self.program, "--quiet", "--config", path]


class ParallelCopy:
    name = "timescaledb_parallel_copy"
    title = "timescaledb-parallel-copy, CSV"
    foreign = True
    WORKERS = 2
    settings = f"from a CSV file, {WORKERS} workers, batches of 10,000 rows; its start counts"
    program = "timescaledb-parallel-copy"

    def absence(self):
        return None if shutil.which(self.program) else f"there is no {self.program} on PATH"

    def version(self):
        return peers.first_line(self.program, "--version")

    def measure(self, stage, rows):
        path = stage.peer_file(f"{rows}.csv", "format csv", f"{peers.CSV_QUERY} LIMIT {rows}")
        address, environment = without_password(stage.url)
        command = [self.program, "--connection", address, "--table", "telemetry", "--columns", ",".join(peers.DATA_COLUMNS), "--file", path,
                   "--workers", self.WORKERS, "--batch-size", 10_000]
        _, cpu, seconds = peers.run_loader(stage, "service", command, rows, environment)
        return result(rows, seconds, cpu)


def tools():
    return [Rsyslog(), ParallelCopy(), Telegraf(), Vector(), FluentBit()]
