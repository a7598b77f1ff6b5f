"""Whether a change made the node slower than it may be, on a machine that is noisy.

A figure passes when its best is no worse than its gate (limits.py). The best of a ratio is the best of what is above over the best of
what is below, each of all rounds: the best of the rounds' ratios would be that of the round whose reference had bad luck, and would hide
a loss. What does not pass is suspect, and measured again, with what it is held against; it fails only if the best of all rounds is still
worse. So noise, which has its good rounds on either side, does not fail a change, and a change that is really slower has no good round
to show. Of a figure that is no matter of noise every round has to hold.
"""

import dataclasses

from harness import say
from limits import GATES


@dataclasses.dataclass(frozen=True)
class Parts:
    """A round's value: what is measured, and what it is held against where it is a ratio."""

    measured: float
    reference: float = 1.0

    @property
    def value(self):
        return self.measured / self.reference


def judged(gate, rounds):
    """What a gate looks at: of every figure's rounds the best, or the worst where each has to hold."""
    choose = gate.worst if gate.every_round else gate.best
    return choose([parts.measured for parts in rounds]) / choose([parts.reference for parts in rounds])


def verdicts(figures, gates=GATES):
    """Each gate with what it looks at; `figures` has the parts of every round by name. What was not measured fails: a gate that nobody
    looks through is none."""
    told = []
    for gate in gates:
        rounds = figures.get(gate.figure, [])
        value = judged(gate, rounds) if rounds else None
        told.append({"name": gate.figure, "gate": gate.words(), "best": None if value is None else round(value, 4),
                     "rounds": [round(parts.value, 4) for parts in rounds], "held": value is not None and gate.holds(value), "reason": gate.reason,
                     "every_round": gate.every_round})
    return told


def failed(told):
    return [verdict for verdict in told if not verdict["held"]]


def judge(measure, again_max, gates=GATES):
    """`measure(suspects)` adds a round of the figures of those names, or of all for None, and returns all figures so far. Returns the
    verdicts after the suspects had their further rounds."""
    told = verdicts(measure(None), gates)
    for number in range(again_max):
        suspects = {verdict["name"] for verdict in failed(told) if not verdict["every_round"]}
        if not suspects:
            break
        say(f"suspect, measured again ({number + 1}/{again_max}): {'; '.join(sorted(suspects))}")
        told = verdicts(measure(suspects), gates)
    return told


def lines(told):
    """The table of the verdicts; what failed says why its gate is there."""
    width = max(len(verdict["name"]) for verdict in told)
    for verdict in told:
        rounds = ", ".join(f"{value:.3g}" for value in verdict["rounds"]) or "not measured"
        best = "–" if verdict["best"] is None else f"{verdict['best']:.3g}"
        which = "most" if verdict["every_round"] else "best"
        yield f"{'held  ' if verdict['held'] else 'FAILED'}  {verdict['name']:<{width}}  {verdict['gate']:>8}  {which} {best:>8}  of {rounds}"
        if not verdict["held"]:
            yield f"        the gate is there because: {verdict['reason']}"
