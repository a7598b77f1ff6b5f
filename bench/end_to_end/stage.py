"""The one database of a comparison, made alike before each measurement, and the rows that are loaded into it.

The rows are those a load generator sent once, with all that the node adds to them: 1,000 devices in turn, in the order of arrival.
The bound reads them from a binary file, other loaders from the file their kind wants.
"""

import pathlib
import re
import subprocess
import tempfile

from harness import LOAD_SECONDS_MAX, drain, say, send
from starting import start_patiently
from support import without_password

DEVICES = 1000
# Rows that one of two connections takes in a row, as two loaders that share a queue would.
SLICE_ROWS = 1000
TABLES = ("telemetry", "telemetry_1min", "telemetry_1hour", "telemetry_daily", "wellhead_invalidation", "wellhead_invalidation_pending")
DATA_COLUMNS = ("timestamp", "device_id", "temperature", "vibration", "pressure", "flow_rate", "motor_current", "rpm", "intake_pressure",
                "discharge_pressure")
ARRIVAL = 'ORDER BY "timestamp", device_id'
# The server's own setting is what sessions have that say nothing; these say something, or are told beside it.
SYNCHRONOUS_COMMIT = {
    "bound": "on; off where it says asynchronous",
    "node": "off, for the journal has the rows; on in each transaction that an answer waits for (acknowledged at commit)",
    "peers": "the server's"}
SETTINGS = ("server_version", "shared_buffers", "fsync", "synchronous_commit", "full_page_writes", "wal_compression", "wal_buffers",
            "max_wal_size", "checkpoint_timeout", "timescaledb.license")


class Stage:
    """The cluster, the tables as `wellhead migrate up` lays them out, and the files; `rows` is how many the files hold."""

    def __init__(self, run, rows):
        self.rows = rows
        self.cluster = run.cluster()
        self.url = self.cluster.url
        self.database_pid = int(self.cluster.call("pid"))
        self.folder = pathlib.Path(run.stack.enter_context(tempfile.TemporaryDirectory(prefix="wellhead-bench-", dir=self.cluster.parent.name)))
        self.bound_files, self.node_settings = {}, {}
        say(f"making files of {rows:,} rows")
        self.fill(run)
        self.truncated = [name for name, in self.query(
            f"SELECT relname FROM pg_class WHERE relkind = 'r' AND relname IN ({', '.join(map(repr, TABLES))})")]

    def query(self, sql):
        return self.cluster.query(sql)

    def fill(self, run):
        """The table is filled by a node, and read out in the order of arrival."""
        node = run.node(self.url, start=False, maintenance_enabled=False)
        start_patiently(node)
        send(node, "ndjson", "--max", "--batch", 1000, "--wells", DEVICES, "--count", self.rows, "--run-id", "bound")
        drain(node)
        self.node_settings = {name: value for name, value in node.settings.items()
                              if not name.endswith((".listen", ".dir")) and name != "maintenance.enabled"}
        node.terminate()
        node.remove()
        self.bound_files = {1: [self.copy_out("all", "true")], 2: [self.copy_out(f"half-{half}", f"n / {SLICE_ROWS} % 2 = {half}") for half in (0, 1)]}

    def copy_out(self, name, condition):
        query = (f"SELECT (rows.telemetry).* FROM (SELECT telemetry, row_number() OVER ({ARRIVAL}) - 1 AS n FROM telemetry) AS rows "
                 f"WHERE {condition} ORDER BY n")
        return self.write_file(f"{name}.bin", query, "format binary")

    def write_file(self, name, query, form):
        path = self.folder / name
        self.copy_processes([f"\\copy ({query}) TO '{path}' ({form})"])
        return path

    def peer_file(self, name, form, query):
        """A file of the rows for a loader that reads another form, made once; `query` reads the table, which holds all of them then."""
        path = self.folder / name
        if not path.exists():
            self.fresh()
            self.load(1)
            self.write_file(name, query, form)
        return path

    def load(self, connections, synchronous_commit="on"):
        """The bound: seconds that COPY takes for all rows."""
        return self.copy_processes([f"\\copy telemetry FROM '{path}' (format binary)" for path in self.bound_files[connections]], synchronous_commit)

    def fresh(self):
        """Empty tables, and no work left from before that would fall into what is measured next."""
        self.query(f"TRUNCATE {', '.join(self.truncated)}")
        self.query("CHECKPOINT")

    def copy_processes(self, commands, synchronous_commit="on"):
        """Runs psql for each at the same time; seconds that the slowest command took, by psql's own clock, without its start."""
        address, environment = without_password(self.url)
        environment["PGOPTIONS"] = f"-c synchronous_commit={synchronous_commit}"
        processes = [subprocess.Popen(["psql", "--no-psqlrc", "--quiet", "-v", "ON_ERROR_STOP=1", "--dbname", address, "--command", "\\timing on",
                                       "--command", command], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL,
                                      text=True) for command in commands]
        try:
            outputs = [process.communicate(timeout=LOAD_SECONDS_MAX) for process in processes]
        finally:
            for process in processes:
                process.kill()
                process.wait()
        for process, (_, errors) in zip(processes, outputs):
            if process.returncode != 0:
                raise AssertionError(f"psql failed: {errors}")
        return max(float(re.search(r"Time: ([0-9.]+) ms", output)[1]) for output, _ in outputs) / 1000

    def check_rows(self, expected):
        """Who says that everything is loaded has to have loaded it."""
        found = int(self.query("SELECT count(*) FROM telemetry")[0][0])
        if found != expected:
            raise AssertionError(f"{expected} rows were to be loaded, and {found} are in the table")

    def settings(self):
        return {name: self.query(f"SHOW {name}")[0][0] for name in SETTINGS} | {
            **{f"synchronous_commit of sessions: {whose}": what for whose, what in SYNCHRONOUS_COMMIT.items()},
            "timescaledb": self.query("SELECT extversion FROM pg_extension WHERE extname = 'timescaledb'")[0][0]}
