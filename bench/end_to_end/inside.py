"""The stages inside the node, as the micro-benchmarks tell them."""

import micro
from harness import BIN_DIR, say


def measure_stages(quick):
    """All of them, and the codec's figures."""
    say("measuring the stages inside")
    return micro.run(BIN_DIR, quick)


def measure_codec():
    """The codec's figures alone, in the same form."""
    say("measuring the codec")
    return {"codec": micro.run_codec(BIN_DIR, micro.Effort(quick=True)), "stages": []}
