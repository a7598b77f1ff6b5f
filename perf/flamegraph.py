"""A flame graph of the node, the load generator or the database under load, and a table of the functions that took most.

Starts a database, a node and the load generator, sends as fast as the node answers, and looks for --seconds where the target's
threads are: on a processor, or with --offcpu what they wait for. Everything is removed at the end but the SVG and the table beside it.
"""

import argparse
import contextlib
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile

import sampling
import stacks
import workload

# As sysexits.h has it: what is needed is not to be had here.
EXIT_UNAVAILABLE = 69
TOP_FUNCTIONS = 25
# Of each kind of threads by itself, where it took at least this share of all.
TOP_FUNCTIONS_OF_THREADS, THREADS_PERCENT_MIN = 10, 2
SVG_WIDTH = 1600
# Where Debian's libdevel-nytprof-perl has it, unless there is one on PATH.
PACKAGED_FLAMEGRAPH = "/usr/share/perl5/Devel/NYTProf/flamegraph.pl"


def positive(text):
    value = int(text)
    if value <= 0:
        raise argparse.ArgumentTypeError("must be above 0")
    return value


def parse_options():
    parser = argparse.ArgumentParser(prog=os.environ.get("DEV_COMMAND"), description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--target", choices=("node", "loadgen", "database"), default="node", help="what to look at (%(default)s)")
    parser.add_argument("--offcpu", action="store_true", help="what threads wait for instead of what they do")
    parser.add_argument("--seconds", type=positive, default=10, help="how long to look (%(default)s)")
    parser.add_argument("--output", type=pathlib.Path, default=pathlib.Path("flamegraph.svg"), help="the SVG; the table goes beside it as .txt (%(default)s)")
    parser.add_argument("--protocol", choices=("ndjson", "http"), default="ndjson", help="how records are sent (%(default)s)")
    parser.add_argument("--batch", type=positive, default=1000, help="records a batch (%(default)s)")
    parser.add_argument("--sink", choices=("postgres", "null"), default="postgres", help="null: no database (%(default)s)")
    options = parser.parse_args()
    if options.target == "database" and options.sink == "null":
        parser.error("--sink null has no database to look at")
    if options.output.suffix == ".txt":
        parser.error(f"{options.output} would be the table's name too: --output is the SVG's")
    if not options.output.parent.is_dir():
        parser.error(f"there is no folder {options.output.parent} for the SVG")
    return options


def say(text):
    print(text, file=sys.stderr, flush=True)


def flamegraph_program():
    found = shutil.which("flamegraph.pl") or (PACKAGED_FLAMEGRAPH if pathlib.Path(PACKAGED_FLAMEGRAPH).exists() else None)
    if not found:
        raise sampling.Refused("flamegraph.pl is missing: on Debian it comes with the package libdevel-nytprof-perl")
    return found


def look(work, load, options, looked):
    """The folded stacks, and how they were taken. Calls `looked` when the load is needed no longer."""
    processes = load.processes(options.target)
    role = workload.process_role if options.target == "database" else None
    if options.offcpu:
        return sampling.off_processor(work, workload.threads_of(processes, role), options.seconds, looked)
    roles = {process: role(process) for process in processes} if role else {}
    # Debian's PostgreSQL is built without frame pointers, ours with.
    return sampling.on_processor(work, processes, options.seconds, options.target != "database",
                                 lambda sample: roles.get(sample.process, sample.command), looked)


def draw(counts, options, how):
    """Writes the SVG."""
    kind = "off the processor" if options.offcpu else "on the processor"
    drawing = subprocess.run(
        ["perl", flamegraph_program(), "--title", f"wellhead: {options.target}, {kind}; {how}", "--width", str(SVG_WIDTH),
         "--minwidth", "0.5", "--hash", "--countname", "us" if options.offcpu else "samples", "--colors", "io" if options.offcpu else "hot"],
        input=stacks.folded_text(counts), capture_output=True, text=True, check=False)
    if drawing.returncode != 0:
        raise AssertionError(f"flamegraph.pl failed: {drawing.stderr.strip()}")
    options.output.write_text(drawing.stdout)


def table(counts, options, how, rate):
    """What to read first: threads, then functions by what they took by themselves."""
    what = "time off the processor" if options.offcpu else "samples"
    lines = [f"{options.target}, {how}, {options.seconds} s under load ({rate:,.0f} records/s taken meanwhile)", "", f"share of {what} by thread"]
    lines += [f"  {share:5.1f} %  {thread}" for thread, share in stacks.by_thread(counts) if share >= 0.1]
    lines += ["", "place that is waited in" if options.offcpu else "function, by what it takes itself"]
    counted = stacks.by_waiting_place(counts) if options.offcpu else counts
    lines += [f"  {share:5.1f} %  {thread:<16} {name}" for share, thread, name in stacks.top(counted, TOP_FUNCTIONS)]
    for thread, share in stacks.by_thread(counts):
        if share >= THREADS_PERCENT_MIN:
            lines += ["", f"of {thread} alone"]
            lines += [f"  {part:5.1f} %  {name}" for part, _, name in stacks.top(stacks.of_threads(counted, thread), TOP_FUNCTIONS_OF_THREADS)]
    unnamed = stacks.unnamed_share(counts)
    if unnamed >= 1:
        lines += ["", f"{unnamed:.0f} % are in functions without a name: their program has no symbols here"
                  + (" (Debian ships PostgreSQL's and TimescaleDB's in packages of their own, -dbgsym)." if options.target == "database" else ".")]
    return "\n".join(lines) + "\n"


def profile(options):
    with contextlib.ExitStack() as stack:
        if not options.offcpu:
            sampling.processor_event()  # refused before anything is started
        flamegraph_program()
        work = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="wellhead-perf-", dir=workload.run_directory())))
        say("starting what is looked at")
        load = workload.Workload(stack, options)
        say(f"looking for {options.seconds} s")
        load.count_from_here()
        counts, how = look(work, load, options, load.end)
        rate = load.rate
    if not counts:
        raise AssertionError("nothing was seen of the target: it neither ran nor waited")
    draw(counts, options, how)
    text = table(counts, options, how, rate)
    options.output.with_suffix(".txt").write_text(text)
    print(text, end="")
    say(f"{options.output}: open it in a browser, click into it")


def main():
    options = parse_options()
    # Everything that was started is stopped on the way out, whoever ends us.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda received, _: sys.exit(128 + received))
    try:
        profile(options)
    except sampling.Refused as reason:
        say(f"{os.environ.get('DEV_COMMAND', 'flamegraph')}: {reason}.")
        return EXIT_UNAVAILABLE
    return 0


if __name__ == "__main__":
    sys.exit(main())
