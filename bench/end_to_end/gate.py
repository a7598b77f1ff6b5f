"""Whether a change made the node slower than it may be, on a machine that is noisy.

A figure passes when its best round is no worse than its gate (limits.py). What does not pass is suspect, and measured again, with what it
is held against; it fails only if the best of all rounds is still worse. So noise, which makes rounds worse and hardly ever better, does
not fail a change, and a change that is really slower has no good round to show.
"""

from harness import say
from limits import GATES


def verdicts(figures, gates=GATES):
    """Each gate with the best of its figure's rounds. What was not measured fails: a gate that nobody looks through is none."""
    told = []
    for gate in gates:
        values = figures.get(gate.figure, [])
        best = gate.best(values) if values else None
        told.append({"name": gate.figure, "gate": gate.words(), "best": None if best is None else round(best, 4),
                     "rounds": [round(value, 4) for value in values], "held": best is not None and gate.holds(best), "reason": gate.reason})
    return told


def failed(told):
    return [verdict for verdict in told if not verdict["held"]]


def judge(measure, again_max, gates=GATES):
    """`measure(suspects)` adds a round of the figures of those names, or of all for None, and returns all figures so far. Returns the
    verdicts after the suspects had their further rounds."""
    told = verdicts(measure(None), gates)
    for number in range(again_max):
        suspects = {verdict["name"] for verdict in failed(told)}
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
        yield f"{'held  ' if verdict['held'] else 'FAILED'}  {verdict['name']:<{width}}  {verdict['gate']:>8}  best {best:>8}  of {rounds}"
        if not verdict["held"]:
            yield f"        the gate is there because: {verdict['reason']}"
