"""./dev bench --gate: measures what the gates are about, and again what is suspect, in a bounded time."""

import json
import time

import figures as figures_of
import gate
from harness import say
from inside import measure_codec
from limits import GATES
from plan import all_peers, full_plan, run_round
from stage import Stage

ROWS, ROUNDS = 800_000, 4
AGAIN_MAX = 3
# No further round begins later: together with the last one it is 10 minutes.
SECONDS_MAX = 480


def needed(names):
    """The measurements that the figures of these names are made of."""
    return {measurement for name in names for measurement in figures_of.needs(name)}


class Measuring:
    """Rounds so far. Called with the names of suspects, it adds a round of what they need."""

    def __init__(self, stage, plan, rounds):
        self.stage, self.plan, self.count = stage, plan, rounds
        self.began, self.rounds, self.micro = time.monotonic(), [], []

    def __call__(self, suspects):
        names = {limit.figure for limit in GATES} if suspects is None else suspects
        count = self.count if suspects is None else 1
        for number in range(count):
            if self.out_of_time():
                say(f"no further round: {SECONDS_MAX} s are over")
                break
            self.add_round(names, f"round {number + 1}/{count}" if suspects is None else "again    ")
        return {**figures_of.parts_from_rounds(self.rounds), **figures_of.parts_from_micro(self.micro)}

    def out_of_time(self):
        return bool(self.rounds) and time.monotonic() - self.began > SECONDS_MAX

    def add_round(self, names, words):
        measurements = needed(names)
        self.rounds.append(run_round([one for one in self.plan if one.name in measurements], words))
        if set(names) & figures_of.CODEC_FIGURES.keys():
            self.micro.append(measure_codec())


def run_gates(run):
    stage = Stage(run, run.options.rows or ROWS)
    peers, _ = all_peers()
    measuring = Measuring(stage, full_plan(stage, peers), run.options.rounds or ROUNDS)
    told = gate.judge(measuring, AGAIN_MAX)
    print("\n".join(gate.lines(told)))
    failures = gate.failed(told)
    print(f"{len(failures)} of {len(told)} gates failed" if failures else f"all {len(told)} gates held")
    if run.options.json is not None:
        run.options.json.write_text(json.dumps({"gates": told, "rounds": measuring.rounds}, indent=1) + "\n")
    return 1 if failures else 0
