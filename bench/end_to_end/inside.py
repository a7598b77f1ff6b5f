"""The stages inside the node, as the micro-benchmarks tell them."""

from harness import BIN_DIR, say


def micro_benchmarks():
    """Their module; None, and said, where there is none."""
    try:
        import micro
    except ModuleNotFoundError:
        say("NOT MEASURED: the codec and the other stages, there are no micro-benchmarks of them")
        return None
    return micro


def measure_micro(quick):
    """All stages."""
    micro = micro_benchmarks()
    if micro is None:
        return None
    say("measuring the stages inside")
    return micro.run(BIN_DIR, quick)


def measure_codec():
    """The codec's figures alone."""
    micro = micro_benchmarks()
    return None if micro is None else {"codec": micro.run_codec(BIN_DIR, micro.Effort(quick=True))}
