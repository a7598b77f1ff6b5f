"""A bare durable write beside whatever else goes on: what an acknowledgement is measured against."""

import subprocess
import threading

from harness import BIN_DIR


class BareWrites:
    """The reference, in the background. `samples` are (when, microseconds), the former by CLOCK_MONOTONIC in seconds."""

    def __init__(self, directory, per_second):
        self.samples = []
        self.process = subprocess.Popen([BIN_DIR / "durable_write", directory, str(per_second)], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)
        if self.process.stdout.readline() != "ready\n":
            raise AssertionError("durable_write did not start; above is what it said")
        self.reader = threading.Thread(target=self.read)
        self.reader.start()

    def read(self):
        for line in self.process.stdout:
            begin_ns, microseconds = line.split()
            self.samples.append((int(begin_ns) / 1e9, float(microseconds)))

    def within(self, spans):
        return [microseconds for when, microseconds in self.samples if any(begin <= when < end for begin, end in spans)]

    def stop(self):
        self.process.stdin.close()
        self.reader.join()
        self.process.stdout.close()
        if self.process.wait() != 0:
            raise AssertionError("durable_write failed; above is what it said")
