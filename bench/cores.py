"""Which core does what: the server has one for itself, load and database share the other."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(frozen=True)
class Cores:
    """The cores of a server, and those of its load and its database."""

    server: frozenset[int]
    load: frozenset[int]


def apart() -> Cores:
    """Return one core for the server and another for everything else.

    Raises RuntimeError where there is but one core.
    """
    available = sorted(os.sched_getaffinity(0))
    if len(available) < 2:
        raise RuntimeError("the benchmark needs two cores: one for the server, one for the load")
    return Cores(frozenset(available[:1]), frozenset(available[1:2]))


def together() -> Cores:
    """Return the first two cores for all."""
    both = frozenset(sorted(os.sched_getaffinity(0))[:2])
    return Cores(both, both)


@contextmanager
def pinned(cores: frozenset[int]) -> Iterator[None]:
    """Keep this thread, and what it starts, on these cores for as long as the block lasts."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
