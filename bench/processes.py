"""What processes use: processor time and memory, of whole trees and of the machine."""

from dataclasses import dataclass

import psutil

TRIES = 5
MEGABYTE = 1e6


@dataclass(frozen=True)
class Memory:
    """What a server holds, in megabytes (10^6 bytes).

    `resident` and `unique` are of its largest process (RSS, USS); `proportional` is of the whole
    tree, what is shared counted in parts (PSS), for each worker.
    """

    resident: float
    unique: float
    proportional: float


def tree(root: psutil.Process) -> list[psutil.Process]:
    """Return a process and all that descend from it."""
    return [root, *root.children(recursive=True)]


def cpu_seconds(root: psutil.Process) -> float:
    """Return what a tree has used of the processors; children that have ended count too."""
    for _ in range(TRIES):
        try:
            return sum(sum(one.cpu_times()[:4]) for one in tree(root))
        except psutil.NoSuchProcess:
            continue  # one has ended meanwhile, and is its parent's from now on
    raise RuntimeError("the processes of a server come and go too fast to be counted")


def memory(root: psutil.Process, workers: int) -> Memory:
    """Return what a server of so many workers holds."""
    held = [one.memory_full_info() for one in tree(root)]
    largest = max(held, key=lambda one: int(one.rss))
    return Memory(
        resident=largest.rss / MEGABYTE,
        unique=largest.uss / MEGABYTE,
        proportional=sum(one.pss for one in held) / workers / MEGABYTE,
    )


def machine_seconds() -> float:
    """Return how long all cores were busy since the machine started, with what was stolen."""
    times = psutil.cpu_times()
    busy: float = sum((times.user, times.nice, times.system, times.irq, times.softirq, times.steal))
    return busy
