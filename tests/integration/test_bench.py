"""The comparison of ./dev bench in small: its report has what is promised. And its gates: noise passes, a real loss of speed does not."""

import html.parser
import json
import pathlib
import random
import sys
import unittest
import unittest.mock
import xml.etree.ElementTree

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "bench" / "end_to_end"))

import figures  # noqa: E402 the path comes first
import full  # noqa: E402
import gate  # noqa: E402
import gated  # noqa: E402
import latency  # noqa: E402
import limits  # noqa: E402
import page  # noqa: E402
import plan  # noqa: E402
import summary  # noqa: E402
import support  # noqa: E402
import terminal  # noqa: E402
from harness import Run  # noqa: E402

SMOKE = full.Scope(rounds=1, rows=10_000, latency_seconds=0.3, stages=False,
                   cases=tuple((protocol, "journal", batch) for batch in (1000, 100) for protocol in plan.PROTOCOLS))
RATIO = limits.at_least("ratio", 1.0, "for the test")
SECONDS = limits.at_most("seconds", 2.0, "for the test")
MEMORY = limits.at_most("memory", 256, "for the test", every_round=True)
Parts = gate.Parts
# Of rounds on either side, and of the loss that has to be found; what is as fast as it was has some room to its gate.
NOISE, LOSS, ROOM = 0.1, 0.2, 1.12
DRAWS, SHARE_MIN = 2000, 0.95


class Measured:
    """Stands for measuring: each call adds a round whose parts `draw` makes, of all figures or of the suspects."""

    def __init__(self, rounds, **draw):
        self.rounds, self.draw, self.values, self.calls = rounds, draw, {name: [] for name in draw}, []

    def __call__(self, suspects):
        self.calls.append(suspects)
        for _ in range(self.rounds if suspects is None else 1):
            for name, draw in self.draw.items():
                if suspects is None or name in suspects:
                    self.values[name].append(draw())
        return self.values


class Gates(unittest.TestCase):
    def setUp(self):
        self.seed = random.randrange(1 << 32)
        self.random = random.Random(self.seed)
        silent = unittest.mock.patch("gate.say")
        silent.start()
        self.addCleanup(silent.stop)

    def noisy(self, ratio):
        """Both sides of it are as much better or worse as a busy machine makes them, each by itself."""
        return lambda: Parts(ratio * self.noise(), self.noise())

    def noise(self):
        return self.random.uniform(1 - NOISE, 1 + NOISE)

    def share_held(self, ratio):
        return sum(self.held(Measured(3, ratio=self.noisy(ratio))) for _ in range(DRAWS)) / DRAWS

    def held(self, measured, gates=(RATIO,), again=3):
        return not gate.failed(gate.judge(measured, again, gates))

    def test_noise_does_not_fail_what_is_as_fast_as_it_was(self):
        self.assertGreaterEqual(self.share_held(ROOM), SHARE_MIN, f"seed {self.seed}")

    def test_a_real_loss_of_speed_fails_whatever_the_noise(self):
        self.assertLessEqual(self.share_held(ROOM * (1 - LOSS)), 1 - SHARE_MIN, f"seed {self.seed}")

    def test_the_best_of_the_rounds_ratios_would_hide_such_a_loss(self):
        """So that the test before is known to find a gate that is none."""
        with unittest.mock.patch("gate.judged", lambda limit, rounds: limit.best([parts.value for parts in rounds])):
            self.assertGreater(self.share_held(ROOM * (1 - LOSS)), 2 * (1 - SHARE_MIN), f"seed {self.seed}")

    def test_a_slow_round_of_the_reference_helps_nobody(self):
        rounds = iter([Parts(80, 100), Parts(80, 50), Parts(80, 100)] * 2)
        self.assertFalse(self.held(Measured(3, ratio=lambda: next(rounds))))

    def test_one_good_round_of_either_side_is_what_counts(self):
        rounds = iter([Parts(60, 100), Parts(70, 90), Parts(101, 80)])
        self.assertTrue(self.held(Measured(3, ratio=lambda: next(rounds))))

    def test_less_is_better_where_the_gate_says_so(self):
        values = iter([3.0, 1.9, 2.5])
        self.assertTrue(self.held(Measured(3, seconds=lambda: Parts(next(values))), (SECONDS,)))
        self.assertFalse(self.held(Measured(3, seconds=lambda: Parts(2.1)), (SECONDS,)))

    def test_memory_is_held_in_the_round_with_the_most_and_not_tried_again(self):
        values = iter([200, 300, 210])
        measured = Measured(3, memory=lambda: Parts(next(values)))
        self.assertFalse(self.held(measured, (MEMORY,)))
        self.assertEqual(len(measured.calls), 1)
        figure = {"memory under full load, MiB": [200.0, 300.0, 210.0]}
        told = next(target for target in limits.evaluate_targets(figure) if target["name"] in figure)
        self.assertEqual((told["measured"], told["met"]), (300.0, False))

    def test_only_suspects_are_measured_again_and_only_as_often_as_allowed(self):
        values = iter([0.5, 0.5, 0.9, 1.2])
        measured = Measured(2, ratio=lambda: Parts(next(values)), seconds=lambda: Parts(1.0))
        self.assertTrue(self.held(measured, (RATIO, SECONDS)))
        self.assertEqual(measured.calls, [None, {"ratio"}, {"ratio"}])
        measured = Measured(2, ratio=lambda: Parts(0.5))
        self.assertFalse(self.held(measured, again=2))
        self.assertEqual(len(measured.calls), 3)

    def test_what_was_not_measured_fails(self):
        told = gate.judge(lambda _: {}, 0, (RATIO,))
        self.assertFalse(told[0]["held"])
        self.assertIn("FAILED  ratio", "\n".join(gate.lines(told)))

    def test_what_failed_is_told_with_its_rounds_and_the_reason_of_the_gate(self):
        text = "\n".join(gate.lines(gate.verdicts({"ratio": [Parts(0.5), Parts(0.75)], "seconds": [Parts(1.0)]}, (RATIO, SECONDS))))
        self.assertIn("0.75  of 0.5, 0.75", text)
        self.assertIn("because: for the test", text)
        self.assertIn("held    seconds", text)

    def test_every_gate_and_target_is_of_a_figure_that_somebody_measures(self):
        latency = {"at_service_rate": [{"service": f"hand_written_{batch}", "batch": batch, "ack": "journal", "points": [[99, 1.0]]} for batch in (100, 1000)]}
        rounds = [{f"hand_written_{batch}": {"ack_us": {"p99": 10.0}} for batch in (100, 1000)}]
        known = {*figures.FIGURES, *figures.CODEC_FIGURES, *figures.acknowledge_to_services(rounds, latency)}
        for limit in (*limits.TARGETS, *limits.GATES):
            self.assertIn(limit.figure, known)
            self.assertNotEqual(limit.reason, "")
        self.assertEqual(len({target.figure for target in limits.TARGETS}), len(limits.TARGETS))


class Rounds(unittest.TestCase):
    def failing(self):
        raise AssertionError("it does not know its settings")

    def test_a_foreign_program_that_fails_is_told_and_not_tried_again(self):
        tries = []
        measurements = [plan.Measurement("foreign", "peer", "", lambda: tries.append(1) or self.failing(), foreign=True),
                        plan.Measurement("own", "node", "", lambda: {"rows_per_second": 1.0})]
        failures = {}
        with unittest.mock.patch("plan.say"):
            rounds = [plan.run_round(measurements, "", failures) for _ in range(2)]
        self.assertEqual(rounds, [{"own": {"rows_per_second": 1.0}}] * 2)
        self.assertEqual((len(tries), failures), (1, {"foreign": "failed: it does not know its settings"}))

    def test_whatever_else_fails_ends_the_run(self):
        with self.assertRaises(AssertionError):
            plan.run_round([plan.Measurement("own", "node", "", self.failing)], "", {})


class Figures(unittest.TestCase):
    def rounds(self):
        return [{"copy 1": {"rows_per_second": 100.0}, "ndjson journal 1000": {"rows_per_second": 130.0, "memory_mib": 50, "cpu_s_per_million": {"node": 0.5}}},
                {"copy 1": {"rows_per_second": 50.0}},
                {"copy 1": {"rows_per_second": 50.0}, "ndjson journal 1000": {"rows_per_second": 75.0, "memory_mib": 60, "cpu_s_per_million": {"node": 0.7}}}]

    def test_a_ratio_is_of_two_measurements_of_one_round(self):
        self.assertEqual(figures.from_rounds(self.rounds())["ndjson, batches of 1000 / bound"], [1.3, 1.5])

    def test_what_was_not_measured_is_neither_met_nor_missed(self):
        told = {target["name"]: target for target in limits.evaluate_targets(figures.from_rounds(self.rounds()))}
        self.assertEqual(told["ndjson, batches of 1000 / bound"]["measured"], 1.4)
        self.assertIs(told["ndjson, batches of 1000 / bound"]["met"], True)
        self.assertIsNone(told["http, batches of 1000 / bound"]["met"])

    def test_a_suspect_is_measured_with_all_it_is_held_against(self):
        self.assertEqual(gated.needed({"ndjson, batches of 1000 / bound"}), {"ndjson journal 1000", "copy 1"})
        self.assertEqual(gated.needed({"codec / simdjson reading all fields"}), set())

    def test_the_faster_bound_is_that_of_its_round(self):
        rounds = [{"copy 1": {"rows_per_second": one}, "copy 2": {"rows_per_second": two}, "node": {"rows_per_second": 120.0}}
                  for one, two in ((100.0, 120.0), (60.0, 40.0))]
        self.assertEqual(figures.to_faster_bound(rounds, "node"), [1.0, 2.0])
        self.assertEqual(figures.to_bound(rounds, "node"), [1.2, 2.0])

    def test_an_unmeasured_target_fails_the_run_unless_what_it_needs_is_not_installed(self):
        name = "http, batches of 100 / hand-written service"

        def exit_code(absent, quick=False):
            target = {"name": name, "met": None, **summary.why_not_measured({"name": name, "met": None}, absent)}
            with unittest.mock.patch("full.say"):
                return full.exit_code({"targets": [target]}, quick)

        self.assertEqual(exit_code({}), 1)
        self.assertEqual(exit_code({}, quick=True), 0)
        self.assertEqual(exit_code({"hand_written_100": "needs python3-uvloop"}), 0)
        self.assertEqual(exit_code({"hand_written_100": "failed: it said nothing"}), 1)
        self.assertEqual(exit_code({"hand_written_1000": "needs python3-uvloop"}), 1)

    def test_a_percentile_is_told_from_as_many_values_as_promised(self):
        for count, rarest in ((99, 95), (100, 99), (9_999, 99.95), (10_000, 99.99)):
            told = latency.curve(range(count))
            self.assertEqual(told["points"][-1][0], rarest)
            self.assertLessEqual(told["points"][-1][1], told["max"])


class Passwords(unittest.TestCase):
    def test_a_password_goes_by_the_environment_and_not_by_the_command_line(self):
        address, environment = support.without_password("postgresql://me:se%40cret@127.0.0.1:5432/db?sslmode=disable")
        self.assertEqual(address, "postgresql://me@127.0.0.1:5432/db?sslmode=disable")
        self.assertEqual(environment["PGPASSWORD"], "se@cret")

    def test_an_address_without_one_stays_as_it_is(self):
        for address in ("postgresql:///db?host=/run", "postgresql://me@host/db", "host=/run dbname=db"):
            self.assertEqual(support.without_password(address)[0], address)


class Links(html.parser.HTMLParser):
    """Collects what a browser would fetch."""

    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attributes):
        self.found += [value for name, value in attributes if name in ("src", "href", "xlink:href", "data", "action")]
        if tag in ("script", "link", "iframe", "img"):
            self.found.append(tag)


class Smoke(unittest.TestCase):
    """One small comparison for all tests of the class."""

    @classmethod
    def setUpClass(cls):
        sys.argv[1:] = []
        full.allow_connections()
        with Run(full.__doc__, full.OPTIONS) as run:
            cls.report = full.measure(run, SMOKE)

    def test_the_report_has_what_is_promised(self):
        report = json.loads(json.dumps(self.report))
        self.assertGreater(report["bound"]["rows_per_second"], 0)
        for protocol in ("ndjson", "http"):
            one = report["end_to_end"][protocol]
            for key in ("rows_per_second", "ratio_to_bound", "ratio_to_faster_bound", "node_cpu_s_per_million"):
                self.assertGreater(one[key], 0, (protocol, key))
            self.assertEqual((one["ack"], one["batch"], len(one["cases"])), ("journal", 1000, 2))
        self.assertGreater(min(report["codec"][key] for key in ("records_per_second", "ratio_to_simdjson")), 0)
        self.assertGreater(report["null_sink"]["records_per_second"], 0)
        self.assertGreater(report["memory_mib"], 1)
        for connections in ("connections", "connections_batches_of_100"):
            self.assertEqual(set(report[connections]), {"10", "10000"})
        self.assertGreater(report["bound"]["connections_1_asynchronous"]["rows_per_second"], 0)
        for name, one in report["peers"].items():
            self.assertGreater(one["rows_per_second"], 0, name)
            self.assertGreater(one["cpu_s_per_million"], 0, name)
            self.assertNotEqual(one["settings"] and one["version"], "", name)
        self.assertIn("multi_row_insert", report["peers"])

    def test_every_target_is_told(self):
        self.assertEqual([target["name"] for target in self.report["targets"]], [target.figure for target in limits.TARGETS])
        for target in self.report["targets"]:
            self.assertGreaterEqual(target.keys(), {"name", "target", "measured", "met"})
            self.assertEqual(target["met"] is None, target["measured"] is None, target)

    def test_latencies_grow_with_the_percentile(self):
        levels = self.report["latency"]["levels"]
        self.assertEqual([(level["ack"], level["share"]) for level in levels], [(ack, share) for ack in ("journal", "commit") for share in (0.1, 0.5, 0.8)])
        for level in [*levels, self.report["latency"]["bare_write"]]:
            values = [value for _, value in level["points"]] + [level["max"]]
            self.assertEqual(values, sorted(values))
            self.assertGreater(values[0], 0)

    def test_each_service_is_held_against_both_ways_to_acknowledge(self):
        levels = self.report["latency"]["at_service_rate"]
        services = [name for name in self.report["peers"] if name.startswith("hand_written")]
        self.assertEqual([(level["service"], level["ack"]) for level in levels], [(name, ack) for name in services for ack in ("journal", "commit")])
        for level in levels:
            self.assertGreater(level["service_p99_us"], 0)

    def test_machine_versions_and_settings_are_stated(self):
        self.assertEqual(self.report["database"]["fsync"], "on")
        self.assertIn("off", self.report["database"]["synchronous_commit of sessions: node"])
        self.assertIn("wellhead", self.report["versions"]["wellhead"])
        self.assertGreater(self.report["machine"]["cores"], 0)
        measured = {name for measured in self.report["rounds"] for name in measured}
        self.assertEqual(set(self.report["settings"]), measured)

    def test_the_page_is_well_formed_and_needs_nothing_else(self):
        text = page.page(self.report)
        root = xml.etree.ElementTree.fromstring(text.split("\n", 1)[1])
        self.assertGreaterEqual(len(root.findall(".//{http://www.w3.org/2000/svg}svg")), 5)
        links = Links()
        links.feed(text)
        self.assertEqual(links.found, [])
        self.assertNotIn("url(", text)
        self.assertNotIn("@import", text)

    def test_the_terminal_gets_every_part(self):
        for lines in (terminal.fact_lines, terminal.rates_lines, terminal.latency_lines, terminal.stage_lines, terminal.null_sink_lines, terminal.target_lines):
            self.assertTrue("".join(lines(self.report)), lines.__name__)
        self.assertIn("COPY from a file, 1 connection", "\n".join(terminal.rates_lines(self.report)))


if __name__ == "__main__":
    unittest.main()
