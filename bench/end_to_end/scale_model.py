"""What a record costs and how many a machine takes, from a few numbers; docs/performance.md tells how to read it.

A record costs processor time in each of the groups that work on it, and a machine takes as many as its processors have time for, or
as the most loaded single thread does:

    receive  = base + by_field * fields + by_byte * record_bytes                   a reactor's thread
    journal  = by_byte * row_bytes                                                 the thread that writes its blocks
    shard    = base + by_byte * row_bytes + by_scored * scored_fields              a shard's thread
    database = base + by_column * columns + by_run * runs                          the session a shard drives, and what it makes others do
    records/s = min(processors * used / sum, reactors / receive, shards / database)

`runs` is how many rows of a flush are the first of their device there: each is a way down the index. `used` is how much of the
processors the groups take when nothing more fits in; the rest is the system's.
"""

import dataclasses

GROUPS = ("receive", "journal", "shard", "database", "sender")


@dataclasses.dataclass(frozen=True)
class Shape:
    """A stream's records: numbers in a record, columns of the table, bytes of a record's JSON and of its row."""

    fields: int
    columns: int
    scored: int
    record_bytes: float
    row_bytes: float


@dataclasses.dataclass(frozen=True)
class Setup:
    shape: Shape
    reactors: int = 1
    shards: int = 2
    devices: int = 1000
    flush_rows: float = 20_000

    @property
    def runs(self):
        """Of a flush, by row: with many devices in turn, nearly every row is another one's."""
        return min(1.0, self.devices / self.shards / self.flush_rows)


def features(group, setup):
    """What the group's cost is a sum of."""
    shape = setup.shape
    return {"receive": (1, shape.fields, shape.record_bytes), "journal": (shape.row_bytes,),
            "shard": (1, shape.row_bytes, shape.scored), "database": (1, shape.columns, setup.runs),
            "sender": (shape.record_bytes,)}[group]


def solve(rows, values):
    """Least squares, none below zero: a cost that would be is left out and the others are found again."""
    used = list(range(len(rows[0])))
    while True:
        matrix = [[sum(row[i] * row[j] for row in rows) for j in used] for i in used]
        right = [sum(row[i] * value for row, value in zip(rows, values)) for i in used]
        found = dict(zip(used, gauss(matrix, right)))
        negative = [index for index, value in found.items() if value < 0]
        if not negative:
            return tuple(found.get(index, 0.0) for index in range(len(rows[0])))
        used.remove(min(negative, key=found.get))


def gauss(matrix, right):
    """Solves a small system; a column that says nothing (all zero) gets zero."""
    size = len(right)
    rows = [line[:] + [value] for line, value in zip(matrix, right)]
    pivots = []
    for column in range(size):
        free = [row for row in range(size) if row not in pivots and abs(rows[row][column]) > 1e-9]
        if not free:
            pivots.append(None)
            continue
        pivot = max(free, key=lambda row: abs(rows[row][column]))
        pivots.append(pivot)
        for row in range(size):
            if row != pivot:
                factor = rows[row][column] / rows[pivot][column]
                rows[row] = [value - factor * other for value, other in zip(rows[row], rows[pivot])]
    return [0.0 if pivot is None else rows[pivot][size] / rows[pivot][column] for column, pivot in enumerate(pivots)]


class Model:
    """Nanoseconds; `measured` are pairs of a Setup and the cost of each group there."""

    def __init__(self, measured, used, processors):
        self.used, self.processors = used, processors
        self.terms = {group: solve([features(group, setup) for setup, costs in measured if group in costs],
                                   [costs[group] for _, costs in measured if group in costs]) for group in GROUPS}

    def costs(self, setup):
        return {group: sum(term * feature for term, feature in zip(self.terms[group], features(group, setup))) for group in GROUPS}

    def rate(self, setup, processors=None, leave_out=()):
        """Records/s, and what sets the limit."""
        costs = {group: cost for group, cost in self.costs(setup).items() if group not in leave_out}
        limits = {"processors": (processors or self.processors) * self.used * 1e9 / sum(costs.values()),
                  "reactors": setup.reactors * 1e9 / costs["receive"]}
        if costs.get("database"):
            limits["shards' sessions"] = setup.shards * 1e9 / costs["database"]
        limit = min(limits, key=limits.get)
        return limits[limit], limit
