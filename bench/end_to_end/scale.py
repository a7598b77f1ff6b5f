"""What limits a node, and what a larger machine would take: a model of costs (scale_model.py) is fitted to a few setups and has to
predict others that were measured in the same run within 20 %.

Varied are the columns of a record, its bytes, devices, shards, reactors and connections. Records come over NDJSON without
acknowledgements from a sender that does nothing else, and the time ends when the last of them is committed.
"""

import collections
import dataclasses
import datetime
import os
import pathlib
import statistics
import subprocess
import sys
import time

from drive import follow
from harness import Run, say
from processes import CpuMeter, thread_cpu_seconds
from scale_model import GROUPS, LARGE, Model, Setup, Shape

ERROR_MAX = 0.20
OPTIONS = {"rounds": (int, 3, "of each setup"), "records": (int, 400000, "in each round")}
FILE_RECORDS = 50_000
SETTLE_SECONDS = 0.5
TELEMETRY_FIELDS = ("temperature", "vibration", "pressure", "flow_rate", "motor_current", "rpm", "intake_pressure", "discharge_pressure")
PADDING_BYTES = 1000
THREADS = {"reactor-": "receive", "journal-": "journal", "shard-": "shard"}


@dataclasses.dataclass(frozen=True)
class Case:
    name: str
    fitted: bool
    wide: int = 0  # columns of a stream of its own; 0: telemetry
    padded: bool = False
    reactors: int = 1
    shards: int = 2
    devices: int = 1000
    connections: int = 4


CASES = (
    Case("telemetry", True),
    Case("4 columns", True, wide=4),
    Case("100 columns", True, wide=100),
    Case("1,000 bytes more", True, padded=True),
    Case("1,000,000 devices", True, devices=1_000_000),
    Case("10,000 connections", True, connections=10_000),
    Case("40 columns", False, wide=40),
    Case("10 devices", False, devices=10),
    Case("100,000 devices", False, devices=100_000),
    Case("1 shard", False, shards=1),
    Case("4 shards", False, shards=4),
    Case("2 reactors", False, reactors=2),
    Case("1 connection", False, connections=1),
    Case("100 connections", False, connections=100),
    Case("2,500 connections", False, connections=2_500),
)


def wide_names(columns):
    return [f"value_{number:03}" for number in range(columns - 2)]


def wide_config(columns):
    """A stream in the place of telemetry: time, device and numbers."""
    parts = ['[streams.telemetry]\ntable = "wide"\ndevice = "device_id"\ntime = "timestamp"\n']
    kinds = [("timestamp", "timestamptz"), ("device_id", "text"), *((name, "real") for name in wide_names(columns))]
    parts += [f'[[streams.telemetry.columns]]\nname = "{name}"\ntype = "{kind}"\n' for name, kind in kinds]
    return "".join(parts)


def create_wide(cluster, columns):
    values = ", ".join(f"{name} real" for name in wide_names(columns))
    cluster.query("DROP TABLE IF EXISTS wide")
    cluster.query(f'CREATE TABLE wide ("timestamp" timestamptz NOT NULL, device_id text NOT NULL, {values})')
    cluster.query("SELECT create_hypertable('wide', 'timestamp', chunk_time_interval => interval '1 day', create_default_indexes => false)")
    cluster.query('CREATE INDEX ON wide (device_id, "timestamp" DESC)')


def write_records(path, case, records):
    """Devices in turn, a reading each; numbers of five digits, as loadgen's are."""
    names = wide_names(case.wide) if case.wide else TELEMETRY_FIELDS
    padding = f',"note":"{"x" * PADDING_BYTES}"' if case.padded else ""
    begin = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(minutes=1)
    with open(path, "w") as file:
        for number in range(records):
            values = "".join(f',"{name}":{50 + (number * 7 + index) % 997 / 10:.2f}' for index, name in enumerate(names))
            when = (begin + datetime.timedelta(microseconds=number)).isoformat()
            file.write(f'{{"timestamp":"{when}","device_id":"well-{number % case.devices:07}"{values}{padding}}}\n')


def thread_seconds(pid):
    """Processor time of the node's threads, by what they work on."""
    return {group: thread_cpu_seconds(pid, prefix) for prefix, group in THREADS.items()}


class Sender:
    """send_file.py as a process whose CPU can be told."""

    def __init__(self, path, port, copies, connections):
        self.begin = time.monotonic()
        self.process = subprocess.Popen([sys.executable, pathlib.Path(__file__).with_name("send_file.py"), path, str(port), str(copies), str(connections)])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.returncode is None:
            self.process.kill()
            self.process.wait()

    def check_running(self):
        """It has ended well when all is sent: the last rows are committed after that."""
        ended = os.waitid(os.P_PID, self.process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        if ended is not None and ended.si_status != 0:
            raise AssertionError(f"the sender ended with status {ended.si_status}")

    def cpu_seconds(self):
        """Once it has ended."""
        _, status, usage = os.wait4(self.process.pid, 0)
        self.process.returncode = os.waitstatus_to_exitcode(status)
        if self.process.returncode != 0:
            raise AssertionError(f"the sender ended with exit code {self.process.returncode}")
        return usage.ru_utime + usage.ru_stime


class Bench:
    def __init__(self, run):
        self.run, self.cluster = run, run.cluster()
        self.database_pid = int(self.cluster.call("pid"))
        run.node(self.cluster.url).terminate()  # makes the tables
        self.folder = pathlib.Path(self.cluster.parent.name, "records")
        self.folder.mkdir()

    def records_of(self, case):
        """(file, records in it)"""
        records = max(FILE_RECORDS, case.devices)
        path = self.folder / f"{case.wide}-{case.padded}-{case.devices}"
        if not path.exists():
            write_records(path, case, records)
        return path, records

    def measure(self, case):
        """Rate, costs and what the model needs to know of one round."""
        path, file_records = self.records_of(case)
        copies = max(1, self.run.options.records // file_records)
        records = copies * file_records
        if case.wide:
            create_wide(self.cluster, case.wide)
        self.cluster.query("TRUNCATE telemetry, wellhead_device_baselines")
        self.cluster.query("CHECKPOINT")
        node = self.run.node(self.cluster.url, config=wide_config(case.wide) if case.wide else "", ndjson_acknowledge=False, maintenance_enabled=False,
                             server_reactors=case.reactors, server_shards=case.shards)
        time.sleep(SETTLE_SECONDS)
        wal = self.cluster.value("SELECT pg_current_wal_lsn()")
        before, meter = thread_seconds(node.process.pid), CpuMeter(database=self.database_pid)
        with Sender(path, node.ports["ndjson"], copies, case.connections) as sender:
            seconds = follow(node, sender, records)
            threads, spent = thread_seconds(node.process.pid), meter.spent()
            spent["sender"] = sender.cpu_seconds()
        costs = {group: threads[group] - before[group] for group in before} | spent
        measured = {"rate": records / seconds, "records": records, "used": sum(costs.values()) / seconds / os.cpu_count(),
                    "costs": {group: cost / records * 1e9 for group, cost in costs.items()},
                    "record_bytes": path.stat().st_size / file_records,
                    "row_bytes": node.metric("wellhead_shard_committed_bytes_total") / records,
                    "flush_rows": records / max(1, node.metric("wellhead_shard_flushes_total")),
                    "wal_bytes": int(float(self.cluster.value(f"SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '{wal}')"))) / records}
        node.terminate()
        node.remove()
        return measured



def median_of(rounds):
    """Each number's median."""
    whole = {key: statistics.median(one[key] for one in rounds) for key in rounds[0] if key != "costs"}
    whole["costs"] = {group: statistics.median(one["costs"][group] for one in rounds) for group in GROUPS}
    return whole


def setup_of(case, measured):
    fields = case.wide - 2 if case.wide else len(TELEMETRY_FIELDS)
    columns = case.wide or len(TELEMETRY_FIELDS) + 7
    shape = Shape(fields, columns, 0 if case.wide else len(TELEMETRY_FIELDS), measured["record_bytes"], measured["row_bytes"])
    return Setup(shape, case.reactors, case.shards, case.devices, case.connections, measured["records"])


def judge(run, results):
    """Fits the model to some and holds it against the others."""
    base = results["telemetry"]
    setups = {case.name: setup_of(case, results[case.name]) for case in CASES}
    model = Model([(setups[case.name], results[case.name]["costs"]) for case in CASES if case.fitted], base["used"], os.cpu_count())
    told, errors = [], []
    for case in CASES:
        rate, limit = model.rate(setups[case.name])
        error = rate / results[case.name]["rate"] - 1
        told.append({"case": case.name, "fitted": case.fitted, "records_per_second": round(results[case.name]["rate"]), "predicted": round(rate),
                     "error": round(error, 3), "limit": limit, "nanoseconds": {group: round(value) for group, value in results[case.name]["costs"].items()},
                     "predicted_nanoseconds": {group: round(value) for group, value in model.costs(setups[case.name]).items()}})
        if not case.fitted:
            errors.append(abs(error))
        say(f"{case.name:<20} {results[case.name]['rate']:9,.0f} records/s, predicted {rate:9,.0f} ({error:+.0%}), limited by its {limit}"
            f"{'; fitted' if case.fitted else ''}")
    run.target("largest error of a prediction", max(errors), ERROR_MAX)
    return {"cases": told, "large_machine": tell_large_machine(model, setups["telemetry"], base["wal_bytes"]), "used": round(base["used"], 3), "terms_ns": {group: [round(term, 3) for term in terms] for group, terms in model.terms.items()},
            "telemetry_bytes": {key: round(base[key]) for key in ("record_bytes", "row_bytes", "wal_bytes", "flush_rows")}}


def tell_large_machine(model, setup, wal_bytes):
    told = {}
    for name, with_database in (("database on it", True), ("database elsewhere", False)):
        large = told[name] = model.on(LARGE, setup, wal_bytes, with_database)
        parts = ", ".join(f"{part} {limit / 1e6:.1f}" for part, limit in sorted(large["limits"].items(), key=lambda item: item[1]))
        say(f"{LARGE.processors} cores, {name}: {large['records_per_second'] / 1e6:.1f} million records/s at most, limited by its {large['limit']} "
            f"(millions by part: {parts}), {large['reactors']:.0f} reactors and {large['shards']:.0f} shards busy")
    return told


def main():
    with Run(__doc__, OPTIONS) as run:
        bench = Bench(run)
        rounds = collections.defaultdict(list)
        for number in range(run.options.rounds):
            for case in CASES:
                rounds[case.name].append(bench.measure(case))
                say(f"round {number + 1}/{run.options.rounds}  {case.name:<20} {rounds[case.name][-1]['rate']:9,.0f} records/s")
        return run.finish(judge(run, {name: median_of(measured) for name, measured in rounds.items()}))


if __name__ == "__main__":
    sys.exit(main())
