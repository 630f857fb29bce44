"""Assignment of cores: one for the server, another for the load and the database."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(frozen=True)
class Cores:
    """The cores of the server, and those of the load and the database."""

    server: frozenset[int]
    load: frozenset[int]


def apart() -> Cores:
    """Return one core for the server and another for everything else.

    Raises RuntimeError if there is only one core.
    """
    available = sorted(os.sched_getaffinity(0))
    if len(available) < 2:
        raise RuntimeError("the benchmark needs two cores: one for the server, one for the load")
    return Cores(frozenset(available[:1]), frozenset(available[1:2]))


def together() -> Cores:
    """Return the first two cores, shared by everything."""
    both = frozenset(sorted(os.sched_getaffinity(0))[:2])
    return Cores(both, both)


@contextmanager
def pinned(cores: frozenset[int]) -> Iterator[None]:
    """Pin this thread and the processes that it starts to these cores during the block."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
