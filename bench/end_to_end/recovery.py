"""How long a node with a large journal of rows that no database has takes from its start to accepting records.

The journal is filled by a node without a database, which is then killed. Before each start what the system has cached of the
journal's files is dropped. The time ends when /health/live answers and a record is acknowledged.
"""

import contextlib
import os
import signal
import sys
import time

from harness import MAXIMUM, LOAD_SECONDS_MAX, Run, launch_load, say, spread, wait_until
from support import free_port, telemetry

SECONDS_MAX = 2.0
POLL_SECONDS = 0.002
OPTIONS = {"rounds": (int, 5, "starts"), "mebibytes": (int, 1024, "of blocks in the journal")}


def fill(node, mebibytes):
    load = launch_load(node, "ndjson", *MAXIMUM, "--until-stopped")
    try:
        wait_until(lambda: node.metric("wellhead_journal_written_bytes_total") >= mebibytes << 20,
                   f"{mebibytes} MiB are written", LOAD_SECONDS_MAX)
    finally:
        load.send_signal(signal.SIGTERM)
        load.wait()
    return node.metric("wellhead_journal_written_bytes_total"), node.metric("wellhead_journal_rows_total")


def drop_cached(directory):
    for path in directory.rglob("*"):
        if path.is_file():
            with open(path, "rb") as file:
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def accepts(node):
    node.check_running()
    with contextlib.suppress(OSError):
        return node.admin("/health/live").status == 200 and node.post("telemetry", telemetry("first", rpm=1)).status == 200
    return False


def start_seconds(node):
    node.kill()
    drop_cached(node.journal)
    begin = time.monotonic()
    node.launch()
    while not accepts(node):
        if time.monotonic() - begin > LOAD_SECONDS_MAX:
            raise AssertionError(f"the node does not accept records; its log says:\n{node.log()}")
        time.sleep(POLL_SECONDS)
    return time.monotonic() - begin


def main():
    with Run(__doc__, OPTIONS) as run:
        nowhere = f"postgresql://127.0.0.1:{free_port()}/none"
        node = run.node(nowhere, start=False, migrate=False, config='journal.bytes_max = "64GiB"\n').start(ready=False)
        written, rows = fill(node, run.options.mebibytes)
        say(f"the journal holds {written / (1 << 20):.0f} MiB, {rows:.0f} rows")
        times = []
        for number in range(run.options.rounds):
            times.append(start_seconds(node))
            say(f"start {number + 1}/{run.options.rounds}  accepting after {times[-1]:.3f} s")
        found = node.metric("wellhead_journal_bytes")
        node.kill()
        if found < written:
            raise AssertionError(f"{written:.0f} bytes were written to the journal, and {found:.0f} are left")
        run.target("seconds from start to accepting, the slowest", max(times), SECONDS_MAX)
        return run.finish({"start_seconds": spread(times), "journal_bytes": int(written), "rows": int(rows)})


if __name__ == "__main__":
    sys.exit(main())
