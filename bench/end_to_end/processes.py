"""What processes have used: processor time of a process with all its children, and the most memory one ever had. From /proc."""

import os
import pathlib

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


def read_stat(pid):
    """Parent and CPU ticks of a process, those of its ended children included; None for one that is gone. The name may hold
    anything, so the fields are counted behind its closing parenthesis."""
    try:
        fields = pathlib.Path("/proc", str(pid), "stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return int(fields[1]), sum(map(int, fields[11:15]))


def tree_ticks(root):
    """CPU ticks by number of the process and everything it started that is still there, those of its ended children included."""
    stats = {int(name): stat for name in os.listdir("/proc") if name.isdigit() and (stat := read_stat(name))}
    if root not in stats:
        raise AssertionError(f"process {root} is gone: its CPU time cannot be told")
    ticks, family = {}, [root]
    while family:
        pid = family.pop()
        ticks[pid] = stats[pid][1]
        family.extend(child for child, (parent, _) in stats.items() if parent == pid)
    return ticks


def tree_cpu_seconds(root):
    """Of the process and everything it started."""
    return sum(tree_ticks(root).values()) / TICKS_PER_SECOND


def tree_processes(root):
    """The numbers of the process and all below it."""
    return list(tree_ticks(root))


def own_cpu_seconds(*pids):
    """Of these processes, their children left out."""
    fields = [pathlib.Path("/proc", str(pid), "stat").read_text().rpartition(")")[2].split() for pid in pids]
    return sum(int(ticks) for of_one in fields for ticks in of_one[11:13]) / TICKS_PER_SECOND


def thread_cpu_seconds(pid, prefix):
    """Of the process's threads whose names begin so."""
    nanoseconds = 0
    for task in pathlib.Path("/proc", str(pid), "task").iterdir():
        if task.joinpath("comm").read_text().startswith(prefix):
            nanoseconds += int(task.joinpath("schedstat").read_text().split()[0])
    return nanoseconds / 1e9


def memory_mib_max(pid):
    """The most resident memory the process ever had."""
    for line in pathlib.Path("/proc", str(pid), "status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise AssertionError(f"process {pid} has no memory any more")


class CpuMeter:
    """CPU seconds spent since it was made, by name; `processes` has process ids."""

    def __init__(self, **processes):
        self.processes = processes
        self.before = {name: tree_cpu_seconds(pid) for name, pid in processes.items()}

    def add(self, name, pid):
        """One that was started since."""
        self.processes[name] = pid
        self.before[name] = 0

    def spent(self):
        return {name: tree_cpu_seconds(pid) - self.before[name] for name, pid in self.processes.items()}
