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
import limits  # noqa: E402
import page  # noqa: E402
import plan  # noqa: E402
import terminal  # noqa: E402
from harness import Run  # noqa: E402

SMOKE = full.Scope(rounds=1, rows=10_000, latency_seconds=0.3, stages=False,
                   cases=tuple((protocol, "journal", batch) for batch in (1000, 100) for protocol in plan.PROTOCOLS))
RATIO = limits.at_least("ratio", 1.0, "for the test")
SECONDS = limits.at_most("seconds", 2.0, "for the test")


class Measured:
    """Stands for measuring: each call adds a round whose values `draw` makes, of all figures or of the suspects."""

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

    def noisy(self, value):
        """Mostly worse than what it would be on a quiet machine, by up to a third."""
        return lambda: value * (1 - abs(self.random.gauss(0, 0.12)))

    def held(self, measured, gates=(RATIO,), again=3):
        return not gate.failed(gate.judge(measured, again, gates))

    def test_noise_does_not_fail_what_is_as_fast_as_it_was(self):
        passed = sum(self.held(Measured(3, ratio=self.noisy(1.1))) for _ in range(1000))
        self.assertGreaterEqual(passed, 970, f"seed {self.seed}")

    def test_a_real_loss_of_speed_fails_whatever_the_noise(self):
        passed = sum(self.held(Measured(3, ratio=self.noisy(0.97))) for _ in range(1000))
        self.assertEqual(passed, 0, f"seed {self.seed}")

    def test_one_good_round_is_enough(self):
        values = iter([0.6, 0.7, 1.01])
        self.assertTrue(self.held(Measured(3, ratio=lambda: next(values))))

    def test_less_is_better_where_the_gate_says_so(self):
        values = iter([3.0, 1.9, 2.5])
        self.assertTrue(self.held(Measured(3, seconds=lambda: next(values)), (SECONDS,)))
        self.assertFalse(self.held(Measured(3, seconds=lambda: 2.1), (SECONDS,)))

    def test_only_suspects_are_measured_again_and_only_as_often_as_allowed(self):
        values = iter([0.5, 0.5, 0.9, 1.2])
        measured = Measured(2, ratio=lambda: next(values), seconds=lambda: 1.0)
        self.assertTrue(self.held(measured, (RATIO, SECONDS)))
        self.assertEqual(measured.calls, [None, {"ratio"}, {"ratio"}])
        measured = Measured(2, ratio=lambda: 0.5)
        self.assertFalse(self.held(measured, again=2))
        self.assertEqual(len(measured.calls), 3)

    def test_what_was_not_measured_fails(self):
        told = gate.judge(lambda _: {}, 0, (RATIO,))
        self.assertFalse(told[0]["held"])
        self.assertIn("FAILED  ratio", "\n".join(gate.lines(told)))

    def test_what_failed_is_told_with_its_rounds_and_the_reason_of_the_gate(self):
        text = "\n".join(gate.lines(gate.verdicts({"ratio": [0.5, 0.75], "seconds": [1.0]}, (RATIO, SECONDS))))
        self.assertIn("0.75  of 0.5, 0.75", text)
        self.assertIn("because: for the test", text)
        self.assertIn("held    seconds", text)

    def test_every_gate_and_target_is_of_a_figure_that_somebody_measures(self):
        latency = {"at_service_rate": [{"service": f"hand_written_{batch}", "batch": batch, "points": [[99, 1.0]]} for batch in (100, 1000)]}
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
            for key in ("rows_per_second", "ratio_to_bound", "node_cpu_s_per_million"):
                self.assertGreater(one[key], 0, (protocol, key))
            self.assertEqual((one["ack"], one["batch"], len(one["cases"])), ("journal", 1000, 2))
        self.assertGreater(min(report["codec"][key] for key in ("records_per_second", "ratio_to_simdjson")), 0)
        self.assertGreater(report["null_sink"]["records_per_second"], 0)
        self.assertGreater(report["memory_mib"], 1)
        self.assertEqual(set(report["connections"]), {"10", "10000"})
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

    def test_machine_versions_and_settings_are_stated(self):
        self.assertEqual(self.report["database"]["fsync"], "on")
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
