"""The micro-benchmarks: that each measurement stands beside a reference, and how figures are made of what they print."""

import os
import pathlib
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "bench" / "end_to_end"))

import micro  # noqa: E402 the path comes first

BIN_DIR = pathlib.Path(os.environ["WELLHEAD_BIN_DIR"])
SECONDS_MAX = 60


class ShortEffort:
    repetitions, seconds = 2, 0.001


class Programs(unittest.TestCase):
    def test_each_measurement_stands_beside_a_reference(self):
        cases, references = set(), set()
        for program in micro.PROGRAMS:
            listed = subprocess.run([BIN_DIR / program, "--benchmark_list_tests=true"], capture_output=True, text=True, timeout=SECONDS_MAX, check=True)
            for name in listed.stdout.splitlines():
                stage, case, reference = micro.split(name)
                (cases if reference is None else references).add((stage, case))
        self.assertEqual(cases, references)
        self.assertLessEqual({"framing", "timestamp", "number", "decode", "rules", "encode", "checksum", "append", "queue", "sort", "gather", "scoring",
                              "histogram"}, {stage for stage, _ in cases})

    def test_a_program_becomes_rows(self):
        rows = micro.stages(*micro.measure(BIN_DIR, "histogram_bench", ShortEffort))
        self.assertEqual([(row["stage"], row["case"], row["unit"], row["reference"]) for row in rows],
                         [("histogram", "record", "value", "array_increment")])
        self.assertGreater(rows[0]["nanoseconds"], 0)
        self.assertIn("array_increment", micro.table(rows))

    def test_a_program_that_fails_is_no_result(self):
        with self.assertRaises(AssertionError):
            micro.measure(BIN_DIR, "histogram_bench", ShortEffort, only="(")


class Figures(unittest.TestCase):
    def test_the_ratio_is_the_speed_against_the_reference(self):
        rows = micro.stages({"decode/typical": 300.0, "decode/typical/reference:on_demand": 150.0, "queue/two_threads/process_time": 10.0,
                             "queue/two_threads/reference:mutex_deque/process_time": 20.0},
                            dict.fromkeys(["decode/typical/reference:on_demand", "queue/two_threads/reference:mutex_deque/process_time"], "record"))
        self.assertEqual([(row["stage"], row["reference"], row["ratio"]) for row in rows],
                         [("decode", "on_demand", 0.5), ("queue", "mutex_deque", 2.0)])
        self.assertEqual(micro.codec_of(rows), {"records_per_second": 3333333, "ratio_to_simdjson": 0.5})

    def test_the_codec_has_to_reach_both_of_its_targets(self):
        self.assertTrue(micro.codec_reached({"records_per_second": 2_000_000, "ratio_to_simdjson": 0.6}))
        self.assertFalse(micro.codec_reached({"records_per_second": 1_999_999, "ratio_to_simdjson": 0.7}))
        self.assertFalse(micro.codec_reached({"records_per_second": 3_000_000, "ratio_to_simdjson": 0.599}))


if __name__ == "__main__":
    unittest.main()
