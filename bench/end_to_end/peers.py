"""What people run instead of wellhead, each in its best case on the same table, the programs in bench/peers and those found on PATH.

Every peer has: `name`; `title`, for people; `absence()`, a sentence why it cannot be measured here, or None; `version()`; `settings`, what was chosen, in
words; `measure(stage, rows)`. CPU is the peer's own and the database's; that of the load generator is told apart.
"""

import contextlib
import functools
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

from drive import BIN_DIR, drive_service, load_options, result
from harness import LOAD_SECONDS_MAX
from processes import CpuMeter
from stage import ARRIVAL, DATA_COLUMNS
from support import free_port

PEERS_DIRECTORY = pathlib.Path(__file__).resolve().parents[1] / "peers"
STOP_SECONDS_MAX = 10
# As JSON has them from the load generator: times with Z, numbers as short as they can be.
NDJSON_QUERY = ("SELECT json_build_object('timestamp', to_char(\"timestamp\" AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"'), "
                + ", ".join(f"'{column}', {column}" for column in DATA_COLUMNS[1:]) + f") FROM telemetry {ARRIVAL}")
CSV_QUERY = f"SELECT {', '.join(DATA_COLUMNS)} FROM telemetry {ARRIVAL}"


def service_name(batch):
    return f"hand_written_{batch}"


@functools.cache
def python_with(*modules):
    """An interpreter that has them: ours, or the system's, which Debian's packages are for; None if there is none."""
    for interpreter in dict.fromkeys((sys.executable, "/usr/bin/python3")):
        with contextlib.suppress(OSError):
            if subprocess.run([interpreter, "-c", "import " + ", ".join(modules)], capture_output=True, check=False).returncode == 0:
                return interpreter
    return None


def module_versions(*modules):
    script = "import platform, importlib.metadata as m, sys; print('Python', platform.python_version(), *(f'{n} {m.version(n)}' for n in sys.argv[1:]))"
    return subprocess.run([python_with(*modules), "-c", script, *modules], capture_output=True, text=True, check=True).stdout.strip()


def first_line(*command):
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return (done.stdout or done.stderr).strip().splitlines()[0]


class Process:
    """A peer's program, which is stopped on the way out; what it said is in the error when it fails."""

    def __init__(self, stage, command, stdout=None, environment=None):
        self.log_path = stage.folder / "peer.log"
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(list(map(str, command)), stdout=stdout or log, stderr=log, stdin=subprocess.DEVNULL, text=True,
                                            env={**(environment or os.environ), "DATABASE_URL": stage.url})

    def __enter__(self):
        return self.process

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        if self.process.stdout:
            self.process.stdout.close()

    def said(self):
        return self.log_path.read_text(errors="replace")


def run_loader(stage, name, command, rows, environment=None):
    """A program that loads a file and ends: what it printed, the CPU it took, and its seconds, its start and end among them."""
    stage.fresh()
    meter = CpuMeter(database=stage.database_pid)
    begin, before = time.monotonic(), os.times()
    peer = Process(stage, command, stdout=subprocess.PIPE, environment=environment)
    with peer as process:
        output = process.communicate(timeout=LOAD_SECONDS_MAX)[0]
    seconds, after = time.monotonic() - begin, os.times()
    if process.returncode != 0:
        raise AssertionError(f"{name} exited {process.returncode}:\n{peer.said()}{output}")
    spent = (after.children_user + after.children_system) - (before.children_user + before.children_system)
    cpu = {name: spent, **meter.spent()}
    stage.check_rows(rows)
    return output, cpu, seconds


class HandWrittenService:
    """aiohttp, uvloop and asyncpg's copy_records_to_table, driven over HTTP by the same load generator."""

    MODULES = ("aiohttp", "uvloop", "asyncpg")

    def __init__(self, batch):
        self.batch = batch
        self.name = service_name(batch)
        self.title = f"hand-written service, http, batches of {batch:,}"
        # As many requests on their way as the node has: both gather what waits while the database is busy.
        self.load_options = load_options("http", batch)
        self.settings = (f"aiohttp + uvloop + asyncpg copy_records_to_table, 2 database connections, up to 10,000 rows a COPY, answers when committed; "
                         f"sent as to the node: wellhead-loadgen {' '.join(map(str, self.load_options))}")

    def absence(self):
        return None if python_with(*self.MODULES) else "needs python3-aiohttp, python3-uvloop and python3-asyncpg"

    def version(self):
        return module_versions(*self.MODULES)

    def measure(self, stage, rows):
        stage.fresh()
        port = free_port()
        command = [python_with(*self.MODULES), PEERS_DIRECTORY / "hand_written_service.py", port]
        peer = Process(stage, command, stdout=subprocess.PIPE)
        with peer as process:
            if process.stdout.readline() != "ready\n":
                raise AssertionError(f"{self.name} did not start:\n{peer.said()}")
            return drive_service(stage, "service", process.pid, port, self.load_options, rows)


class OriginalDesign:
    name = "original_design"
    title = "original design, executemany"
    settings = "asyncpg executemany, batches of 1,000 or 1 s, 2 connections; records from memory, no network in front; its start and reading the file do not count"
    share_of_rows = 0.2  # it is that slow

    def absence(self):
        return None if python_with("asyncpg") else "needs python3-asyncpg"

    def version(self):
        return module_versions("asyncpg")

    def measure(self, stage, rows):
        path = stage.peer_file(f"{rows}.ndjson", "format text", f"{NDJSON_QUERY} LIMIT {rows}")
        output, cpu, _ = run_loader(stage, "service", [python_with("asyncpg"), PEERS_DIRECTORY / "original_design.py", path], rows)
        told = json.loads(output)
        return result(rows, told["seconds"], {**cpu, "service": told["cpu_seconds"]})


class MultiRowInsert:
    name = "multi_row_insert"
    title = "INSERT of 1,000 rows, libpq"
    CONNECTIONS, ROWS = 4, 1000
    settings = f"libpq, INSERT of {ROWS:,} rows, prepared, values in binary form, {CONNECTIONS} connections; rows from memory, no network in front"

    def absence(self):
        return None

    def version(self):
        return first_line("pg_config", "--version") if shutil.which("pg_config") else "libpq of the system"

    def measure(self, stage, rows):
        path = stage.peer_file(f"{rows}.bin", "format binary", f"SELECT * FROM telemetry {ARRIVAL} LIMIT {rows}")
        output, cpu, _ = run_loader(stage, "service", [BIN_DIR / "multi_row_insert", path, self.CONNECTIONS, self.ROWS], rows)
        return result(rows, json.loads(output)["seconds"], cpu)
