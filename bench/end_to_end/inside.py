"""The stages inside the node, as the micro-benchmarks tell them."""

from harness import BIN_DIR, say


def measure_micro(quick):
    """None, and said, where there are no micro-benchmarks."""
    try:
        import micro
    except ModuleNotFoundError:
        say("NOT MEASURED: the codec and the other stages, there are no micro-benchmarks of them")
        return None
    say("measuring the stages inside")
    return micro.run(BIN_DIR, quick)
