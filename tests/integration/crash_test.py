"""The crash proof: a real node and a real database under load, killed with SIGKILL at random moments, over and over.

Started by ./dev crash-test and by the test suite. What was acknowledged must be in the hypertable exactly once in the end;
what nobody answered may be there once or not at all; nothing else may be there. HTTP clients repeat under their Idempotency-Key
what they have no answer for, so for them nothing stays unanswered. Now and then, and in the end, `wellhead audit` compares
the journal with the database.
"""

import argparse
import contextlib
import json
import os
import pathlib
import random
import signal
import statistics
import sys
import time

from cluster import Cluster
from load import FAULTS, Load, faults
from probe import Probe
from support import Node, audit, check_conservation

KILLS_MAX = 1000
# Between a recovery and the next kill. Short enough that some kills meet a node that is still catching up.
CALM_SECONDS = (0.02, 1.2)
# A kill that is followed by a second one while the first is being recovered from.
AGAIN_SHARE = 0.2
AGAIN_SECONDS = (0.0, 0.25)
# How often each is the victim when all may be.
VICTIMS = ("node", "node", "database", "both")
# Each gets its share of the rate: records acknowledged as the node is configured, and only when they are in the database.
LOADS = (("http",), ("http", "--ack", "commit"), ("ndjson",))
# An audit beside the load after so many kills, and one in the end.
AUDIT_KILLS = 20


class CrashTest:
    """One run: kill() until it is enough, then verdict()."""

    def __init__(self, arguments, stack):
        self.target = arguments.target
        self.chance = random.Random(arguments.seed)
        self.cluster = Cluster()
        stack.callback(self.cluster.remove)
        self.node = Node(self.cluster.url, arguments.config.read_text() if arguments.config else "")
        stack.callback(self.node.remove)
        self.node.start()
        self.probe = Probe(self.node, arguments.seed)
        self.loads = []
        for protocol, *options in LOADS:
            if arguments.retry and protocol == "http":
                options.append("--retry")
            self.loads.append(Load(self.node, self.cluster.url, protocol, arguments.rate / len(LOADS),
                                   "--verify-timeout", str(arguments.drain_seconds), *options))
            stack.callback(self.loads[-1].remove)
        self.recovery_ms = {"node": [], "database": [], "both": []}
        self.audits = 0

    def kills(self):
        return sum(len(times) for times in self.recovery_ms.values())

    def kill(self):
        """Waits for a random moment, kills, starts again; returns what was killed and how long it took to come back."""
        time.sleep(self.chance.uniform(*CALM_SECONDS))
        self.check_loads()
        victim = self.target if self.target != "both" else self.chance.choice(VICTIMS)
        milliseconds = {"node": self.kill_node, "database": self.kill_database, "both": self.kill_both}[victim]()
        self.recovery_ms[victim].append(milliseconds)
        if self.kills() % AUDIT_KILLS == 0:
            self.audit()
        return victim, milliseconds

    def kill_node(self):
        self.node.kill()
        if self.chance.random() < AGAIN_SHARE:
            self.node.launch()
            time.sleep(self.chance.uniform(*AGAIN_SECONDS))
            self.node.kill()
        return self.recovered(self.node.launch)

    def kill_database(self):
        self.cluster.kill()
        return self.recovered(self.cluster.start, committed=True)

    def kill_both(self):
        ends = [self.node.kill, self.cluster.kill]
        starts = [self.node.launch, self.cluster.start]
        for steps in (ends, starts):
            self.chance.shuffle(steps)
        for end in ends:
            end()
            time.sleep(self.chance.uniform(0, 0.1))

        def start():
            for step in starts:
                step()

        return self.recovered(start, committed=True)

    def recovered(self, start, committed=False):
        """Milliseconds from calling `start` to the first record that is acknowledged, once it is in the database with `committed`."""
        begin = time.monotonic()
        start()
        self.probe.send_until_acknowledged(committed)
        return (time.monotonic() - begin) * 1000

    def audit(self):
        """Fails unless all the journal holds is in the database once, or on its way there, or quarantined."""
        if audit(self.node) is not None:
            self.audits += 1

    def check_loads(self):
        for load in self.loads:
            if load.process.poll() is not None:
                raise AssertionError("the load ended by itself:\n" + load.log_path.read_text(errors="replace"))

    def counts(self):
        """Of all loads so far."""
        statuses = [load.status() for load in self.loads]
        return {name: sum(status[name] for status in statuses) for name in ("acknowledged", "unknown")}

    def verdict(self):
        """Stops the load, lets everything drain, compares; the result for people and machines."""
        for load in self.loads:
            load.stop()
        reports = [load.report() for load in self.loads]
        check_conservation(self.node)
        self.audit()
        self.node.terminate()
        reports.append(self.probe.report(self.cluster.url))
        # A second copy may come after everybody has looked: each record of a run has a device and time of its own.
        reports[-1]["duplicated"] = max(reports[-1]["duplicated"], self.copies() - sum(report["duplicated"] or 0 for report in reports[:-1]))
        return reports

    def copies(self):
        """Rows too many in the table, counted by the database."""
        return int(self.cluster.value('''SELECT coalesce(sum(copies - 1), 0) FROM (
            SELECT count(*) AS copies FROM telemetry GROUP BY device_id, "timestamp" HAVING count(*) > 1) AS repeated'''))


def summary(test, reports, arguments, seconds):
    total = {name: sum(report.get(name) or 0 for report in reports) for name in ("acknowledged", "unknown", "retries", "committed", *FAULTS)}
    return {"kills": test.kills(), **total, "recovery_ms": spread([value for times in test.recovery_ms.values() for value in times]),
            "recovery_ms_by_target": {name: spread(times) for name, times in test.recovery_ms.items() if times},
            "audits": test.audits, "target": arguments.target, "rate": arguments.rate, "seed": arguments.seed, "seconds": round(seconds, 1)}


def spread(times):
    return {"p50": round(statistics.median(times), 1), "max": round(max(times), 1)} if times else None


def say(text):
    print(text, file=sys.stderr, flush=True)


def report_progress(number, kills, victim, milliseconds, counts):
    line = (f"kill {number:>4}/{kills}  {victim:<8}  acknowledging again after {milliseconds:7.0f} ms  "
            f"acknowledged {counts['acknowledged']:>12,}  unknown {counts['unknown']:>9,}")
    say(line)


def run(arguments):
    """Returns the result; an AssertionError where something went wrong that is neither loss nor a second copy."""
    begin = time.monotonic()
    with contextlib.ExitStack() as stack:
        say(f"seed {arguments.seed}: the same seed kills in the same order")
        test = CrashTest(arguments, stack)
        try:
            for number in range(1, arguments.kills + 1):
                report_progress(number, arguments.kills, *test.kill(), test.counts())
            say("waiting until everything is committed, then reading every row back")
            reports = test.verdict()
        except BaseException:
            keep_logs(test, arguments)
            raise
        result = summary(test, reports, arguments, time.monotonic() - begin)
        if any(faults(report) for report in reports) or result["acknowledged"] == 0:
            keep_logs(test, arguments)
            for load in test.loads:
                say(load.log_path.read_text(errors="replace"))
        return result


def keep_logs(test, arguments):
    """What happened, for whoever has to find out why: the folder goes with the test."""
    folder = pathlib.Path(os.environ.get("TMPDIR", "/var/tmp"), f"wellhead-crash-{arguments.seed}")
    folder.mkdir(exist_ok=True)
    (folder / "node.log").write_text(test.node.log())
    (folder / "database.log").write_text(test.cluster.log())
    say(f"the logs of the node and the database are kept in {folder}")


def parse(arguments):
    parser = argparse.ArgumentParser(prog=os.environ.get("DEV_COMMAND"), description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=50, help=f"how often to kill, 1 to {KILLS_MAX} (%(default)s)")
    parser.add_argument("--target", choices=("node", "database", "both"), default="both",
                        help="what is killed; both: each alone and the two together, by chance (%(default)s)")
    parser.add_argument("--rate", type=float, default=4000, help="records per second, shared by HTTP, HTTP with Ack: commit, and NDJSON (%(default)s)")
    parser.add_argument("--seed", type=int, default=None, help="of the random moments; a random one unless given")
    parser.add_argument("--retry", action=argparse.BooleanOptionalAction, default=True,
                        help="send by HTTP with an Idempotency-Key, and repeat what was not answered; not for a node without a journal")
    parser.add_argument("--drain-seconds", type=float, default=120, help="how long everything may take to be committed in the end (%(default)s)")
    parser.add_argument("--json", type=pathlib.Path, default=None, help="write the result there as well")
    parser.add_argument("--config", type=pathlib.Path, default=None,
                        help="a file of further settings for the node, TOML with whole keys")
    parsed = parser.parse_args(arguments)
    if not 1 <= parsed.kills <= KILLS_MAX:
        parser.error(f"--kills must be 1 to {KILLS_MAX}")
    if not parsed.rate > 0:
        parser.error("--rate must be above 0")
    if parsed.seed is None:
        parsed.seed = random.randrange(2**32)
    return parsed


def main():
    arguments = parse(sys.argv[1:])
    # Everything that was started is stopped on the way out, whoever ends us.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda received, _: sys.exit(128 + received))
    try:
        result = run(arguments)
    except KeyboardInterrupt:
        return 130
    text = json.dumps(result, indent=2) + "\n"
    print(text, end="")
    if arguments.json is not None:
        arguments.json.write_text(text)
    wrong = {name: result[name] for name in FAULTS if result[name] != 0}
    if wrong or result["acknowledged"] == 0:
        say(f"FAILED: {wrong or 'nothing was acknowledged'}; run it again with --seed {arguments.seed}")
        return 1
    say(f"OK: {result['acknowledged']:,} acknowledged records outlived {result['kills']} kills, each is there once")
    return 0


if __name__ == "__main__":
    sys.exit(main())
