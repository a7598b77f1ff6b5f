"""The test of the crash test: a node that acknowledges what only a forgetful database has must not pass it."""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

# Commits that are not on the disk yet are acknowledged: they are gone when the database is killed.
FORGETFUL = """
journal.enabled = false
database.synchronous_commit = "off"
"""
# Any of them may come just after the server has flushed its log, and then nothing is lost.
KILLS = 6


class CrashTestBites(unittest.TestCase):
    def test_it_finds_what_a_forgetful_database_lost(self):
        # The run's own files lie there too, and go with it.
        with tempfile.TemporaryDirectory(prefix="wellhead-bites-", dir="/var/tmp") as folder:
            os.chmod(folder, 0o755)
            config = pathlib.Path(folder, "forgetful.toml")
            config.write_text(FORGETFUL)
            result_path = pathlib.Path(folder, "result.json")
            done = subprocess.run(
                [sys.executable, pathlib.Path(__file__).with_name("crash_test.py"), "--kills", str(KILLS), "--target", "database", "--no-retry",
                 "--config", config, "--drain-seconds", "3", "--json", result_path],
                env={**os.environ, "TMPDIR": folder}, capture_output=True, text=True, timeout=240, check=False)
            self.assertEqual(done.returncode, 1, done.stderr)
            result = json.loads(result_path.read_text())
        self.assertEqual(result["kills"], KILLS)
        self.assertGreater(result["lost"], 0, "killed databases forget what was not flushed, and nobody noticed")
        self.assertEqual((result["duplicated"], result["mismatched"], result["foreign"]), (0, 0, 0), result)


if __name__ == "__main__":
    unittest.main(verbosity=2)
