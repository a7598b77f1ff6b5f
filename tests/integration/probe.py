"""Single records that measure when a node acknowledges again, and are accounted for like any load."""

import http.client
import json
import time

from support import psql, telemetry

SECONDS_MAX = 60
PAUSE_SECONDS = 0.002
# Long enough for a commit that waits for its database.
ANSWER_SECONDS_MAX = 30


class Probe:
    """Every attempt is a record of its own, so that none is ever sent twice."""

    def __init__(self, node, seed):
        self.node = node
        self.prefix = f"probe-{seed}-"
        self.outcomes = []  # by number: "acknowledged", "refused" (nothing may be there) or "unknown"

    def send_until_acknowledged(self, committed=False):
        headers = {"Ack": "commit"} if committed else {}
        deadline = time.monotonic() + SECONDS_MAX
        while self.send(headers) != "acknowledged":
            self.node.check_running()
            if time.monotonic() > deadline:
                raise AssertionError(f"nothing was acknowledged within {SECONDS_MAX} s; the node's log says:\n{self.node.log()[-4000:]}")
            time.sleep(PAUSE_SECONDS)

    def send(self, headers):
        record = telemetry(f"{self.prefix}{len(self.outcomes)}", rpm=1)
        self.outcomes.append("unknown")
        connection = http.client.HTTPConnection("127.0.0.1", self.node.ports["http"], timeout=ANSWER_SECONDS_MAX)
        try:
            connection.connect()
        except OSError:
            connection.close()
            self.outcomes[-1] = "refused"  # it never left
            return "refused"
        try:
            connection.request("POST", "/v1/ingest/telemetry", json.dumps(record), headers)
            reply = connection.getresponse()
            self.outcomes[-1] = self.outcome(reply.status, reply.read().decode())
        except (OSError, http.client.HTTPException):
            pass
        finally:
            connection.close()
        return self.outcomes[-1]

    @staticmethod
    def outcome(status, body):
        if status == 200:
            return "acknowledged"
        if status in (429, 503) and "outcome_unknown" not in body:
            return "refused"
        return "unknown"

    def report(self, database_url):
        """In the form of the load generator's, from what the table holds now."""
        rows = psql(database_url, f"SELECT device_id, count(*) FROM telemetry WHERE device_id LIKE '{self.prefix}%' GROUP BY 1")
        found = {int(device.removeprefix(self.prefix)): int(copies) for device, copies in rows}
        numbers = {outcome: {number for number, known in enumerate(self.outcomes) if known == outcome}
                   for outcome in ("acknowledged", "refused", "unknown")}
        return {"acknowledged": len(numbers["acknowledged"]), "unknown": len(numbers["unknown"]), "committed": sum(found.values()),
                "lost": len(numbers["acknowledged"] - found.keys()), "duplicated": sum(copies - 1 for copies in found.values()),
                "rejected_present": len(numbers["refused"] & found.keys()),
                "foreign": len(found.keys() - set(range(len(self.outcomes)))), "mismatched": 0, "failed": 0, "protocol_errors": 0}
