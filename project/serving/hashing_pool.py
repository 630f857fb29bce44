"""The threads that hash passwords, and a bounded queue before them."""

import os
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from typing import TypeVar

Result = TypeVar("Result")


class PoolFull(Exception):
    """All threads hash and the queue is full, or the network has its share of both."""


class PoolSlots:
    """The places of a pool, of which one network gets no more than half.

    What has no network, as a command, may have all of them.
    """

    def __init__(self, number: int) -> None:
        self._number = number
        self._share = max(1, number // 2)
        self._taken: Counter[str | None] = Counter()
        self._lock = threading.Lock()

    def are_left(self, network: str | None) -> bool:
        """Return whether this network could get a place now."""
        has_share = network is None or self._taken[network] < self._share
        return has_share and self._taken.total() < self._number

    @contextmanager
    def taken(self, network: str | None) -> Iterator[None]:
        """Hold a place for as long as the block lasts. Raises PoolFull where none is left."""
        with self._lock:
            if not self.are_left(network):
                raise PoolFull
            self._taken[network] += 1
        try:
            yield
        finally:
            with self._lock:
                self._taken[network] -= 1
                self._taken += Counter()  # drops who holds none any more


class PoolObserver:
    """Is told what goes on in a pool, in the thread that does it; this one lets it pass."""

    def waits(self) -> None:
        """Note that one more password waits."""

    def begins(self) -> None:
        """Note that a thread has begun with one."""

    def ends(self, seconds: float) -> None:
        """Note that the thread has ended with it, and how long it took."""


class HashingPool:
    """A few threads that hash, and a short queue before them.

    bcrypt lets go of Python's lock, so that as many hashes run at once as there are threads; more
    of them than cores would take the time of every other request. The threads start with the first
    hash: servers fork before that. Whoever waits for a hash does so within `while_waiting`.
    """

    def __init__(
        self,
        threads: int,
        queue: int,
        niceness: int,
        while_waiting: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        self.watch = PoolObserver()
        self.size = threads
        self._places = PoolSlots(threads + queue)
        self._while_waiting = while_waiting
        self._threads = ThreadPoolExecutor(threads, "hashing", _be_nice, (niceness,))

    def is_full(self, network: str | None = None) -> bool:
        """Return whether there is no place left for this network just now."""
        return not self._places.are_left(network)

    def run(self, work: Callable[[], Result], network: str | None = None) -> Result:
        """Return what the work returns. Raises PoolFull at once where there is no place left."""
        with self._places.taken(network):
            self.watch.waits()
            with self._while_waiting():
                return self._threads.submit(_watched, work, self.watch).result()


def _be_nice(niceness: int) -> None:
    """Have the process's other threads run first. Of a single thread Linux alone can say that."""
    if sys.platform == "linux" and niceness:
        # On top of what the process was started with: less would take a right that few have.
        nicer = min(19, os.getpriority(os.PRIO_PROCESS, 0) + niceness)
        # A refusal here would end the pool, and is no reason to.
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), nicer)


def _watched(work: Callable[[], Result], watch: PoolObserver) -> Result:
    watch.begins()
    began_at = time.perf_counter()
    try:
        return work()
    finally:
        watch.ends(time.perf_counter() - began_at)
