"""A database server of a test's own, to be killed: scripts/cluster.sh does the work."""

import os
import pathlib
import subprocess
import tempfile

from support import psql

CLUSTER_SCRIPT = pathlib.Path(__file__).resolve().parents[2] / "scripts" / "cluster.sh"
COMMAND_SECONDS_MAX = 180


class Cluster:
    """Starts when it is made. `url` is the superuser's; it stays the same over kills and starts."""

    def __init__(self, start=("start",)):
        self.parent = tempfile.TemporaryDirectory(prefix="wellhead-cluster-", dir=os.environ.get("TMPDIR", "/var/tmp"))
        os.chmod(self.parent.name, 0o755)
        self.folder = pathlib.Path(self.parent.name, "cluster")
        self.url = self.call(*start)

    @classmethod
    def replica_of(cls, cluster, url):
        """An asynchronous replica that streams from `url`: the cluster's, or that of a proxy before it."""
        return cls(("replica", cluster.folder, url))

    def promote(self):
        """Returns when it takes writes."""
        psql(self.url, "SELECT pg_promote()")

    def call(self, command, *arguments):
        done = subprocess.run([CLUSTER_SCRIPT, command, self.folder, *arguments], capture_output=True, text=True,
                              timeout=COMMAND_SECONDS_MAX, check=False)
        if done.returncode != 0:
            raise AssertionError(f"cluster.sh {command}: {done.stderr}")
        return done.stdout.strip()

    def start(self):
        """Returns when it accepts connections, its recovery included."""
        self.call("start")

    def stop(self):
        self.call("stop")

    def kill(self):
        """Every process of it at once, as a crash would."""
        self.call("kill9")

    def query(self, sql):
        """Rows as lists of text; NULL is the empty string."""
        return psql(self.url, sql)

    def value(self, sql):
        return self.query(sql)[0][0]

    def log(self):
        return pathlib.Path(self.folder, "log").read_text(errors="replace")

    def remove(self):
        self.call("destroy")
        self.parent.cleanup()
