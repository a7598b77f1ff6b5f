"""Records where threads are, on a processor or off it, with what the kernel lets us use."""

import collections
import pathlib
import subprocess
import time

import stacks

# Not a round number, so that samples do not march in step with timers of the program.
SAMPLES_PER_SECOND = 999
# With copies of the stack instead of frame pointers, each sample is kilobytes.
SAMPLES_PER_SECOND_DWARF = 499
STACK_BYTES = 16384
LOOKS_PER_SECOND = 100
SCRIPT_SECONDS_MAX = 300
# The name that the kernel gives the first namespace of processes (PROC_PID_INIT_INO in include/linux/proc_ns.h).
FIRST_PROCESS_NAMESPACE = "pid:[4026531836]"


class Refused(Exception):
    """The kernel does not let us look; the text says what to allow."""


def setting(name):
    """A kernel setting as text; "?" where there is none."""
    path = pathlib.Path("/proc/sys", *name.split("."))
    return path.read_text().strip() if path.exists() else "?"


def run(*command, seconds=SCRIPT_SECONDS_MAX):
    return subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=seconds, check=False)


def works(*options):
    """Whether perf can record this."""
    return run("perf", "record", "--quiet", "--output", "/dev/null", *options, "--", "true").returncode == 0


def numbers_are_the_kernels():
    """Whether threads have the numbers here that the scheduler's events name: in a container they have others."""
    return pathlib.Path("/proc/self/ns/pid").readlink().name == FIRST_PROCESS_NAMESPACE


def processor_event():
    """Hardware cycles where the machine shows them, else the kernel's clock; with what is left out of the kernel where that is not
    allowed."""
    for event in ("cycles", "cpu-clock", "cycles:u", "cpu-clock:u"):
        counted = run("perf", "stat", "--field-separator", ",", "--event", event, "--", "true")
        if counted.returncode == 0 and "<not " not in counted.stderr and works("--event", event):
            return event
    raise Refused("perf may not sample here: kernel.perf_event_paranoid is " + setting("kernel.perf_event_paranoid") + ". Allow it with "
                  "`sudo sysctl kernel.perf_event_paranoid=1`, or run this as root; in a container the seccomp profile must allow "
                  "perf_event_open, or it needs CAP_PERFMON")


def script(data, fields):
    """perf script's output as lines. Without inlined functions, which take minutes to look up."""
    done = run("perf", "script", "--no-inline", "--fields", fields, "--input", data)
    if done.returncode != 0:
        raise AssertionError(f"perf script failed: {done.stderr.strip()}")
    return done.stdout.splitlines()


def record(data, seconds, *options):
    done = run("perf", "record", "--quiet", "--output", data, *options, "--", "sleep", str(seconds), seconds=seconds + SCRIPT_SECONDS_MAX)
    if done.returncode != 0:
        raise AssertionError(f"perf record failed: {done.stderr.strip()}")


def on_processor(work, processes, seconds, frame_pointers, thread_name, looked):
    """Folded stacks of what runs in these processes, counted in samples, and how they were taken."""
    event = processor_event()
    rate = SAMPLES_PER_SECOND if frame_pointers else SAMPLES_PER_SECOND_DWARF
    graph = "fp" if frame_pointers else f"dwarf,{STACK_BYTES}"
    data = work / "perf.data"
    record(data, seconds, "--event", event, "--freq", str(rate), "--call-graph", graph, "--pid", ",".join(map(str, processes)))
    looked()
    samples = stacks.read_samples(script(data, "comm,pid,tid,time,event,ip,sym,dso"))
    return stacks.fold(samples, thread_name), f"{event} at {rate} Hz"


def off_processor(work, threads, seconds, looked):
    """Folded stacks of what threads wait for, counted in microseconds, and how that was found. `threads`: (process, name) by number."""
    names = {thread: name for thread, (_, name) in threads.items()}
    if numbers_are_the_kernels() and works("--all-cpus", "--event", "sched:sched_switch"):
        data = work / "perf.data"
        wanted = " || ".join(f"prev_pid == {thread} || next_pid == {thread}" for thread in threads)
        record(data, seconds, "--all-cpus", "--event", "sched:sched_switch", "--filter", wanted, "--call-graph", "fp")
        looked()
        samples = stacks.read_samples(script(data, "comm,pid,tid,time,event,trace,ip,sym,dso"))
        return stacks.fold_waiting(samples, names), "each switch of a thread (sched:sched_switch)"
    counts = look_at_kernel_stacks(threads, seconds)
    looked()
    if not counts:
        raise Refused("neither the scheduler's events nor the kernel's stacks can be read here: run this as root, or allow the events with "
                      "`sudo sysctl kernel.perf_event_paranoid=-1` and `sudo mount -o remount,mode=755 /sys/kernel/tracing`")
    return counts, f"a look at the kernel's stacks {LOOKS_PER_SECOND} times a second, without the program's own functions"


def look_at_kernel_stacks(threads, seconds):
    """What sleeping threads wait for as /proc tells it. Microseconds by stack; empty where nothing may be read."""
    counts = collections.Counter()
    end = time.monotonic() + seconds
    before = time.monotonic()
    while before < end:
        time.sleep(1 / LOOKS_PER_SECOND)
        now = time.monotonic()
        for thread, (process, name) in threads.items():
            frames = kernel_stack(pathlib.Path(f"/proc/{process}/task/{thread}"))
            if frames:
                counts[(name, *frames)] += round((now - before) * 1e6)
        before = now
    return counts


def kernel_stack(folder):
    """The kernel's functions a sleeping thread is in, outermost first; else the one it waits in; empty where it runs or is gone."""
    try:
        if (folder / "stat").read_text().rpartition(") ")[2][0] not in "SD":
            return []
        try:
            lines = (folder / "stack").read_text().splitlines()
            frames = [stacks.short_name(line.split()[1].partition("+")[0]) for line in reversed(lines) if len(line.split()) > 1]
        except PermissionError:
            frames = []
        place = (folder / "wchan").read_text().strip()
    except OSError:
        return []
    return frames or ([place] if place not in ("", "0") else [])
