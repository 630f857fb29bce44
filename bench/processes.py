"""Processor time and memory of process trees, and processor time of the machine."""

from dataclasses import dataclass

import psutil

TRIES = 5
MEGABYTE = 1e6


@dataclass(frozen=True)
class Memory:
    """The memory of a server in megabytes (10^6 bytes).

    `resident` (RSS) and `unique` (USS) are those of its largest process. `proportional` is the PSS
    of all processes, which counts shared memory once, divided by the number of workers.
    """

    resident: float
    unique: float
    proportional: float


def tree(root: psutil.Process) -> list[psutil.Process]:
    """Return a process and all its descendants."""
    return [root, *root.children(recursive=True)]


def cpu_seconds(root: psutil.Process) -> float:
    """Return the processor time of a process tree, including children that have ended."""
    for _ in range(TRIES):
        try:
            return sum(sum(one.cpu_times()[:4]) for one in tree(root))
        except psutil.NoSuchProcess:
            continue  # a child has ended; its parent's times now include it
    raise RuntimeError("processes of the server start and end too fast to be measured")


def memory(root: psutil.Process, workers: int) -> Memory:
    """Return the memory of a server with this number of workers."""
    infos = [one.memory_full_info() for one in tree(root)]
    largest = max(infos, key=lambda one: int(one.rss))
    return Memory(
        resident=largest.rss / MEGABYTE,
        unique=largest.uss / MEGABYTE,
        proportional=sum(one.pss for one in infos) / workers / MEGABYTE,
    )


def machine_seconds() -> float:
    """Return the busy time of all cores since the machine started, including stolen time."""
    times = psutil.cpu_times()
    busy: float = sum((times.user, times.nice, times.system, times.irq, times.softirq, times.steal))
    return busy
