"""What rules cost the codec: the same records decoded with rules and without, in one run, in turn.

Rules are ranges, units, flags and computed columns; a case beside the typical one has a unit named in each record, another attributes
of its device copied into each row. `cost` is the processor time they add to a record.
"""

import os
import sys

import micro

COST_MAX = 0.15


def cost_of(row):
    return round(row["nanoseconds"] / row["reference_nanoseconds"] - 1, 4)


def rules(bin_dir, effort):
    """A row for each case: that of the attempt in which its rules cost least, while one is above the bound."""
    best = {}
    for _ in range(micro.ATTEMPTS):
        for row in micro.stages(*micro.measure(bin_dir, "codec_bench", effort, only="^rules/")):
            if row["case"] not in best or cost_of(row) < cost_of(best[row["case"]]):
                best[row["case"]] = row
        if all(cost_of(row) <= COST_MAX for row in best.values()):
            break
    return list(best.values())


def main():
    options = micro.arguments(__doc__)
    bin_dir, effort = os.environ["WELLHEAD_BIN_DIR"], micro.Effort(options.quick)
    rows = rules(bin_dir, effort)
    cost = {row["case"]: cost_of(row) for row in rows}
    codec = micro.run_codec(bin_dir, effort)
    verdicts = [micro.tell(f"share of time that rules add to a record, {case}", value, COST_MAX, at_most=True)
                for case, value in cost.items()]
    verdicts += micro.codec_verdicts(codec)
    return micro.finish({"codec": codec, "rules": {"cost": cost}, "stages": rows}, rows, options.json, verdicts)


if __name__ == "__main__":
    sys.exit(main())
