"""From what perf script prints to folded stacks and a table of functions. Pure functions.

A folded stack is a tuple of names, the thread first and the function that ran or waited last; stacks are counted in samples, or in
microseconds where time off the processor is told.
"""

import collections
import re

UNKNOWN = "[unknown]"
UNNAMED = re.compile(r"^\[unknown( in .*)?\]$")
PREEMPTED = "[waits for a processor]"

HEADER = re.compile(r"^\s*(?P<command>\S.*?)\s+(?P<process>-?\d+)/(?P<thread>-?\d+)\s+(?P<seconds>\d+\.\d+):\s+(?P<event>[\w:-]+):\s*(?P<trace>.*)$")
FRAME = re.compile(r"^\s+[0-9a-f]+\s+(?P<symbol>.+?)(?:\s+\((?P<object>[^()]*|\(deleted\)|.*)\))?$")
SWITCH = re.compile(r"prev_pid=(?P<out>\d+) .*prev_state=(?P<state>\S+) ==> .*next_pid=(?P<into>\d+)")


class Sample:
    """One event: who, when, and the names of the stack, outermost first."""

    def __init__(self, header):
        self.command = header["command"]
        self.process, self.thread = int(header["process"]), int(header["thread"])
        self.seconds = float(header["seconds"])
        self.trace = header["trace"]
        self.frames = []


def short_name(symbol):
    """A C++ function's name without template arguments, parameters and what compilers add."""
    symbol = re.sub(r"\+0x[0-9a-f]+$", "", symbol)
    symbol = re.sub(r"\.(isra|part|constprop|cold|lto_priv)\b.*$", "", symbol)
    symbol = symbol.replace("(anonymous namespace)::", "").replace("[abi:cxx11]", "")
    name, depth = [], 0
    position = 0
    while position < len(symbol):
        rest = symbol[position:]
        operator = re.match(r"operator(<=>|<<=?|>>=?|<=?|>=?|->\*?|\(\))", rest)
        if operator and depth == 0:
            name.append(operator[0])
            position += len(operator[0])
            continue
        if rest[0] in "<(":
            depth += 1
        elif rest[0] in ">)" and depth > 0 and not symbol[position - 1] == "-":
            depth -= 1
        elif depth == 0:
            name.append(rest[0])
        position += 1
    return "".join(name).strip().replace(";", ",") or symbol.replace(";", ",")


def read_samples(lines):
    """The samples in perf script's output, as they come."""
    sample = None
    names = {}
    for line in lines:
        header = HEADER.match(line)
        if header:
            sample = Sample(header)
            continue
        frame = FRAME.match(line)
        if sample is not None and frame:
            symbol = frame["symbol"]
            if symbol.startswith("[unknown]"):
                sample.frames.append(unknown_in(frame["object"]))
                continue
            if symbol not in names:
                names[symbol] = short_name(symbol)
            sample.frames.append(names[symbol])
        elif not line.strip() and sample is not None:
            sample.frames = tidy(reversed(sample.frames))
            yield sample
            sample = None
    if sample is not None:
        sample.frames = tidy(reversed(sample.frames))
        yield sample


def unknown_in(program):
    """A function without a name, by the file it is in where that is known."""
    file = (program or "").rpartition("/")[2]
    return UNKNOWN if not file or file.startswith("[") else f"[unknown in {file}]"


def tidy(frames):
    """Without what is unknown at the outer end, and with one unknown where the same follows itself: behind a function without a frame
    pointer the addresses mean nothing."""
    kept = []
    for name in frames:
        if not UNNAMED.match(name) or (kept and kept[-1] != name):
            kept.append(name)
    return kept


def fold(samples, thread_name):
    """Counts samples by stack. `thread_name(sample)` names the thread."""
    counts = collections.Counter()
    for sample in samples:
        counts[(thread_name(sample), *(sample.frames or [UNKNOWN]))] += 1
    return counts


def fold_waiting(samples, threads):
    """Microseconds off the processor by stack, from switches in and out. `threads`: the name of each thread by its number; others do
    not count. A thread that was still waiting at the last switch has waited until then."""
    counts = collections.Counter()
    waiting = {}  # by thread: since when, and the stack
    last = 0.0
    for sample in samples:
        switch = SWITCH.search(sample.trace)
        if not switch:
            continue
        last = sample.seconds
        out, into = int(switch["out"]), int(switch["into"])
        if into in waiting:
            since, stack = waiting.pop(into)
            counts[stack] += round((sample.seconds - since) * 1e6)
        if out in threads:
            preempted = (PREEMPTED,) if switch["state"].startswith("R") else ()
            waiting[out] = (sample.seconds, (threads[out], *(sample.frames or [UNKNOWN]), *preempted))
    for since, stack in waiting.values():
        counts[stack] += round((last - since) * 1e6)
    return +counts


def folded_text(counts):
    """As flamegraph.pl reads it."""
    return "".join(f"{';'.join(stack)} {count}\n" for stack, count in sorted(counts.items()))


def kind_of_thread(name):
    """The name without its number: reactor-0 is a reactor."""
    return re.sub(r"-\d+$", "", name)


def by_thread(counts):
    """Each kind of threads' share of all, in percent, the largest first."""
    total = sum(counts.values())
    threads = collections.Counter()
    for stack, count in counts.items():
        threads[kind_of_thread(stack[0])] += count
    return [(thread, 100 * count / total) for thread, count in threads.most_common()]


def top(counts, limit):
    """The functions in which most was spent by themselves: (percent, kind of thread, function)."""
    total = sum(counts.values())
    functions = collections.Counter()
    for stack, count in counts.items():
        functions[kind_of_thread(stack[0]), stack[-1]] += count
    return [(100 * count / total, thread, name) for (thread, name), count in functions.most_common(limit)]


def of_threads(counts, kind):
    """The stacks of one kind of threads."""
    return collections.Counter({stack: count for stack, count in counts.items() if kind_of_thread(stack[0]) == kind})


def waiting_place(frames):
    """The function a waiting stack is told by: the innermost that is not the kernel's own way to put a thread to sleep."""
    for name in reversed(frames):
        if name not in ("__schedule", "schedule", "schedule_timeout", "schedule_hrtimeout_range", "schedule_hrtimeout_range_clock",
                        "do_nanosleep", "preempt_schedule_common", "preempt_schedule", "__cond_resched", "io_schedule"):
            return name
    return frames[-1]


def by_waiting_place(counts):
    """The stacks cut off at the place that says what is waited for, for the table."""
    places = collections.Counter()
    for stack, count in counts.items():
        places[stack[0], waiting_place(stack[1:])] += count
    return places


def unnamed_share(counts):
    """Percent of all whose innermost function has no name: no symbols, or no way to them."""
    total = sum(counts.values())
    return 100 * sum(count for stack, count in counts.items() if UNNAMED.match(stack[-1])) / total if total else 0.0
