"""What a record costs and how many a machine takes, from a few numbers; docs/performance.md tells how to read it.

A record costs processor time in each of the groups that work on it, and a machine takes as many as its processors have time for, or
as the most loaded single thread does:

    receive  = base + by_field * fields + by_byte * record_bytes + by_connection * connections     a reactor's thread
    journal  = by_byte * row_bytes                                                 the thread that writes its blocks
    shard    = base + by_byte * row_bytes + by_scored * scored_fields + by_new * new               a shard's thread
    database = base + by_column * columns + by_new * new                           the session a shard drives, and what it makes others do
    sender   = base + by_byte * record_bytes + by_connection * connections
    records/s = min(processors * used / sum, reactors / receive, shards / (shard + database))

`connections` is how many there are to a record: each is made, and its records come in pieces of their own. `new` is the share of
records that are their device's first: its baseline is made, asked of the database and saved there. A shard sorts and scores a flush
before its session stores it, so one adds to the other. `used` is how much of the processors the groups take when nothing more fits
in; the rest is the system's.
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
    connections: int = 4
    records: int = 400_000

    @property
    def new(self):
        return min(1.0, self.devices / self.records)


@dataclasses.dataclass(frozen=True)
class Machine:
    """A machine that is not here; bytes are those a second that each part is taken to carry, as its vendors say."""

    processors: int
    network_bytes: float
    journal_bytes: float
    wal_bytes: float


# 64 cores, 100 Gb/s, and an NVMe drive each for the journal and for the database's WAL.
LARGE = Machine(64, 12.5e9, 3e9, 3e9)


def features(group, setup):
    """What the group's cost is a sum of."""
    shape = setup.shape
    connections = setup.connections / setup.records
    return {"receive": (1, shape.fields, shape.record_bytes, connections), "journal": (shape.row_bytes,),
            "shard": (1, shape.row_bytes, shape.scored, setup.new), "database": (1, shape.columns, setup.new),
            "sender": (1, shape.record_bytes, connections)}[group]


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
            limits["shards"] = setup.shards * 1e9 / (costs["shard"] + costs["database"])
        limit = min(limits, key=limits.get)
        return limits[limit], limit

    def on(self, machine, setup, wal_bytes, with_database):
        """What a larger machine would take by each of its parts, in records/s, with as many reactors and shards as it wants; and how many
        of these it keeps busy. The sender is elsewhere, and so is the database without `with_database`. What threads wait for of each
        other (locks of the database's, above all) is not in it."""
        costs = self.costs(setup)
        groups = ("receive", "journal", "shard", *(("database",) if with_database else ()))
        limits = {"processors": machine.processors * self.used * 1e9 / sum(costs[group] for group in groups),
                  "network": machine.network_bytes / setup.shape.record_bytes,
                  "journal's disk": machine.journal_bytes / setup.shape.row_bytes}
        if with_database:
            limits["WAL's disk"] = machine.wal_bytes / wal_bytes
        rate = min(limits.values())
        return {"records_per_second": rate, "limit": min(limits, key=limits.get), "limits": limits,
                "reactors": rate * costs["receive"] / 1e9, "shards": rate * (costs["shard"] + costs["database"]) / 1e9}
