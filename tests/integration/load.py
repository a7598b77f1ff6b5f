"""wellhead-loadgen in the background, which checks every record it sent against the hypertable."""

import json
import os
import pathlib
import signal
import subprocess

from support import BIN_DIR

REPORT_SECONDS_MAX = 300


class Load:
    """Sends until `seconds` are over, or until stop() where there are none; report() has what it came to.

    `node` is what it sends to: its ports and its folder are used. Further options of the program come as text.
    """

    def __init__(self, node, database_url, protocol, rate, *options, seconds=None, batch=50, connections=4):
        self.name = f"load-{protocol}-{len(list(pathlib.Path(node.folder.name).glob('load-*.log')))}"
        self.json_path = pathlib.Path(node.folder.name, self.name + ".json")
        self.status_path = pathlib.Path(node.folder.name, self.name + ".status")
        self.log_path = pathlib.Path(node.folder.name, self.name + ".log")
        span = ["--until-stopped"] if seconds is None else ["--duration", str(seconds)]
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(
                [BIN_DIR / "wellhead-loadgen", "--url", f"{protocol}://127.0.0.1:{node.ports[protocol]}", *span,
                 "--rate", str(rate), "--batch", str(batch), "--connections", str(connections), "--wells", "100",
                 "--timeout", "120", "--json", self.json_path, "--status", self.status_path, "--verify",
                 "--admin", f"http://127.0.0.1:{node.ports['admin']}", *options],
                env={**os.environ, "WELLHEAD_LOADGEN_DATABASE_URL": database_url},
                stdout=log, stderr=log, stdin=subprocess.DEVNULL)

    def status(self):
        """The counts so far: sent, acknowledged, rejected, failed, unknown, reconnects."""
        try:
            return json.loads(self.status_path.read_text())
        except FileNotFoundError:
            return dict.fromkeys(("sent", "acknowledged", "rejected", "failed", "unknown", "reconnects"), 0)

    def stop(self):
        """No further records; what is on its way is still waited for, then verified."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)

    def report(self):
        """What was acknowledged and what is there, once all is answered and verified."""
        self.process.wait(REPORT_SECONDS_MAX)
        if not self.json_path.exists():
            raise AssertionError("the load generator wrote no report:\n" + self.log_path.read_text(errors="replace"))
        return json.loads(self.json_path.read_text())

    def remove(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


# What makes a run wrong whatever died: all of these are 0 in its report.
FAULTS = ("lost", "duplicated", "mismatched", "foreign", "rejected_present", "failed", "protocol_errors")


def faults(report):
    """The counts that are not 0 and must be; a count that could not be taken counts as a fault."""
    return {name: report[name] for name in FAULTS if report[name] != 0}
