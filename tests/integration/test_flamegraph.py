"""Flame graphs: what is drawn of a node under load, how stacks are read, and what is refused."""

import collections
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest
import xml.etree.ElementTree as tree

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "perf"))

import sampling  # noqa: E402 the path comes first
import stacks  # noqa: E402

EXIT_USAGE, EXIT_UNAVAILABLE = 2, 69
SECONDS_MAX = 120

SWITCHES = """
reactor-0   100/101  10.000000: sched:sched_switch: prev_comm=reactor-0 prev_pid=101 prev_prio=120 prev_state=S ==> next_comm=x next_pid=900 next_prio=120
\tffffffff82 schedule+0x23 ([kernel.kallsyms])
\tffffffff83 io_cqring_wait+0x10 ([kernel.kallsyms])
\t    55e6a0 wellhead::Ring::wait+0x20 (/bin/wellhead)

x   900/900  10.002500: sched:sched_switch: prev_comm=x prev_pid=900 prev_prio=120 prev_state=S ==> next_comm=reactor-0 next_pid=101 next_prio=120
\tffffffff82 schedule+0x23 ([kernel.kallsyms])

reactor-0   100/101  10.003000: sched:sched_switch: prev_comm=reactor-0 prev_pid=101 prev_prio=120 prev_state=R+ ==> next_comm=x next_pid=900 next_prio=120
\t    55e6a0 wellhead::Reactor::turn+0x20 (/bin/wellhead)

x   900/900  10.004000: sched:sched_switch: prev_comm=x prev_pid=900 prev_prio=120 prev_state=S ==> next_comm=y next_pid=901 next_prio=120
"""


def draw(*options):
    """Draws a node without a database for a second; the SVG's text and the table."""
    with tempfile.TemporaryDirectory() as folder:
        svg = pathlib.Path(folder, "graph.svg")
        done = subprocess.run([sys.executable, ROOT / "perf" / "flamegraph.py", "--sink", "null", "--seconds", "1", "--output", svg, *options],
                              capture_output=True, text=True, timeout=SECONDS_MAX, check=False)
        if done.returncode == EXIT_UNAVAILABLE:
            raise unittest.SkipTest(done.stderr.strip().splitlines()[-1])
        if done.returncode != 0:
            raise AssertionError(f"exit code {done.returncode}: {done.stderr}")
        return svg.read_text(), svg.with_suffix(".txt").read_text()


class Drawings(unittest.TestCase):
    def test_a_node_under_load_is_drawn_with_its_threads_and_functions(self):
        svg, table = draw()
        titles = [title.text for title in tree.fromstring(svg).iter("{http://www.w3.org/2000/svg}title")]
        self.assertTrue(any(title.startswith("reactor-0 (") for title in titles), titles[:50])
        self.assertTrue(any(title.startswith("wellhead::Decoder::decode") for title in titles), titles[:50])
        self.assertRegex(table, r"(?m)^ +\d+\.\d %  reactor +wellhead::\w+")

    def test_what_a_node_waits_for_is_drawn(self):
        svg, table = draw("--offcpu")
        titles = [title.text for title in tree.fromstring(svg).iter("{http://www.w3.org/2000/svg}title")]
        self.assertTrue(any(title.startswith("reactor-0 (") for title in titles), titles[:50])
        self.assertIn("place that is waited in", table)
        self.assertTrue(re.search(r"%  shard ", table), table)


class Reading(unittest.TestCase):
    def test_names_lose_template_arguments_and_parameters(self):
        names = {
            "wellhead::Flush::assign+0x1c": "wellhead::Flush::assign",
            "void std::sort<int*, std::less<int> >(int*, int*, std::less<int>)": "void std::sort",
            "wellhead::(anonymous namespace)::trimmed": "wellhead::trimmed",
            "wellhead::Case::operator<": "wellhead::Case::operator<",
            "wellhead::Case::operator()<int>(int)": "wellhead::Case::operator()",
            "std::function<bool (char)>::operator()(char) const": "std::function::operator() const",
            "finish_task_switch.isra.0": "finish_task_switch",
        }
        self.assertEqual({symbol: stacks.short_name(symbol) for symbol in names}, names)

    def test_time_off_the_processor_is_from_the_switch_out_to_the_switch_in(self):
        counts = stacks.fold_waiting(stacks.read_samples(SWITCHES.splitlines()), {101: "reactor-0"})
        self.assertEqual(counts, {
            ("reactor-0", "wellhead::Ring::wait", "io_cqring_wait", "schedule"): 2500,
            # Not back when the recording ends, and it could have run all the time.
            ("reactor-0", "wellhead::Reactor::turn", stacks.PREEMPTED): 1000,
        })

    def test_the_table_counts_what_functions_take_themselves(self):
        counts = collections.Counter({("shard-0", "run", "sort"): 6, ("shard-1", "run", "sort"): 2, ("reactor-0", "run"): 2})
        self.assertEqual(stacks.top(counts, 10), [(80.0, "shard", "sort"), (20.0, "reactor", "run")])
        self.assertEqual(stacks.by_thread(counts), [("shard", 80.0), ("reactor", 20.0)])
        self.assertEqual(stacks.top(stacks.of_threads(counts, "reactor"), 10), [(100.0, "reactor", "run")])

    def test_functions_without_a_name_are_told_by_their_program(self):
        sample = next(stacks.read_samples(["x 1/1 1.000000: cpu-clock:", "\t 7f00 [unknown] (/usr/lib/timescaledb.so)", "\t 7f10 main+0x1 (/bin/x)", ""]))
        self.assertEqual(sample.frames, ["main", "[unknown in timescaledb.so]"])
        self.assertEqual(stacks.unnamed_share({("x", *sample.frames): 1, ("x", "main"): 3}), 25)

    def test_addresses_that_mean_nothing_are_one_unknown(self):
        self.assertEqual(stacks.tidy([stacks.UNKNOWN, "run", stacks.UNKNOWN, stacks.UNKNOWN, "memcpy"]), ["run", stacks.UNKNOWN, "memcpy"])


class Looks(unittest.TestCase):
    def test_without_events_a_sleeping_thread_tells_what_it_waits_in(self):
        with subprocess.Popen(["sleep", "60"]) as sleeper:
            try:
                counts = sampling.look_at_kernel_stacks({sleeper.pid: (sleeper.pid, "sleeper")}, 0.3)
            finally:
                sleeper.kill()
        if not counts:
            self.skipTest("neither stack nor wchan of a process can be read in /proc here")
        thread, *frames = counts.most_common(1)[0][0]
        self.assertEqual(thread, "sleeper")
        self.assertTrue(any("nanosleep" in name for name in frames), frames)
        self.assertTrue(100_000 < sum(counts.values()) < 5_000_000, counts)


class Refusals(unittest.TestCase):
    def refused(self, *arguments):
        done = subprocess.run([ROOT / "scripts" / "flamegraph.sh", *arguments], capture_output=True, text=True, timeout=SECONDS_MAX,
                              env={**os.environ, "DEV_COMMAND": "./dev flamegraph"}, check=False)
        self.assertEqual(done.returncode, EXIT_USAGE, done.stderr)
        return done.stderr

    def test_wrong_arguments_are_refused_before_anything_is_built(self):
        self.assertIn('--target knows no "kernel"', self.refused("--target", "kernel"))
        self.assertIn("there is no option --flames", self.refused("--flames"))
        self.assertIn("--seconds needs a whole number above zero", self.refused("--seconds", "0"))
        self.assertIn("there is no folder", self.refused("--output", "/nowhere/at/all/x.svg"))
        self.assertIn("would be the table's name", self.refused("--output", "/tmp/x.txt"))


if __name__ == "__main__":
    unittest.main()
