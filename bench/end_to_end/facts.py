"""What a reader has to know of the machine and the programs to judge the figures."""

import os
import pathlib
import platform
import shutil
import subprocess
import time

from harness import BIN_DIR

BUSY_SAMPLE_SECONDS = 1.0
# Others that take more than this of the processors make the figures doubtful.
BUSY_SHARE_MAX = 0.10
REPOSITORY = pathlib.Path(__file__).resolve().parents[2]


def output_of(*command):
    """The first line, or None where there is no such program."""
    if shutil.which(command[0]) is None:
        return None
    lines = subprocess.run(command, capture_output=True, text=True, check=False).stdout.splitlines()
    return lines[0].strip() if lines else None


def processor_name():
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def processor_ticks():
    """(busy, stolen, all) of all processors since the start of the machine."""
    user, nice, system, idle, waiting, *rest = map(int, pathlib.Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9])
    stolen = rest[2]
    busy = user + nice + system + sum(rest[:2]) + stolen
    return busy, stolen, busy + idle + waiting


def busy_share():
    """What others take of the processors now, before anything is started."""
    before = processor_ticks()
    time.sleep(BUSY_SAMPLE_SECONDS)
    after = processor_ticks()
    return (after[0] - before[0]) / max(1, after[2] - before[2])


def memory_gib():
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / (1 << 30)


class Facts:
    """Made before the first measurement; told after the last."""

    def __init__(self):
        self.began, self.busy_before, self.ticks = time.time(), busy_share(), processor_ticks()
        self.load_before = os.getloadavg()[0]

    def quiet(self):
        return self.busy_before <= BUSY_SHARE_MAX

    def machine(self, folder):
        busy, stolen, everything = (after - before for after, before in zip(processor_ticks(), self.ticks))
        return {"processor": processor_name(), "cores": os.cpu_count(), "memory_gib": round(memory_gib(), 1), "kernel": platform.release(),
                "file_system": output_of("findmnt", "--noheadings", "--output", "FSTYPE,OPTIONS,SOURCE", "--target", str(folder)),
                "busy_share_before": round(self.busy_before, 3), "load_before": round(self.load_before, 2),
                "busy_share": round(busy / max(1, everything), 3), "stolen_share": round(stolen / max(1, everything), 4),
                "began": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self.began)), "minutes": round((time.time() - self.began) / 60, 1)}

    @staticmethod
    def versions():
        return {"wellhead": output_of(BIN_DIR / "wellhead", "--version"),
                "commit": output_of("git", "-C", str(REPOSITORY), "describe", "--always", "--dirty"),
                "compiler": output_of("c++", "--version"), "psql": output_of("psql", "--version")}
