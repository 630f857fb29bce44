"""A thread pool for hashing passwords, with a bounded queue."""

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
    """All slots of the pool are in use, or the network uses its share of them."""


class PoolSlots:
    """The slots of a pool. One network may hold at most half of them.

    Work without a network, such as that of a command, may hold all of them.
    """

    def __init__(self, number: int) -> None:
        self._number = number
        self._share = max(1, number // 2)
        self._held: Counter[str | None] = Counter()
        self._lock = threading.Lock()

    def is_free(self, network: str | None) -> bool:
        """Return whether this network could acquire a slot now."""
        has_share = network is None or self._held[network] < self._share
        return has_share and self._held.total() < self._number

    @contextmanager
    def hold(self, network: str | None) -> Iterator[None]:
        """Hold a slot during the block. Raises PoolFull if none is free."""
        with self._lock:
            if not self.is_free(network):
                raise PoolFull
            self._held[network] += 1
        try:
            yield
        finally:
            with self._lock:
                self._held[network] -= 1
                self._held += Counter()  # removes networks that hold none


class PoolObserver:
    """Receives the events of a pool, in the thread where they happen. This one ignores them."""

    def on_queued(self) -> None:
        """Handle the queueing of a hash."""

    def on_started(self) -> None:
        """Handle the start of a queued hash in a thread."""

    def on_finished(self, seconds: float) -> None:
        """Handle the end of a hash, which took this long."""


class HashingPool:
    """A few threads that hash passwords, and a short queue.

    bcrypt releases Python's global lock, so hashes run in parallel. More threads than cores would
    slow down every other request. The threads start with the first hash, after the server has
    forked. A caller waits for its hash within the context manager `while_waiting`.
    """

    def __init__(
        self,
        threads: int,
        queue: int,
        niceness: int,
        while_waiting: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        self.observer = PoolObserver()
        self.size = threads
        self._slots = PoolSlots(threads + queue)
        self._while_waiting = while_waiting
        self._threads = ThreadPoolExecutor(threads, "hashing", _lower_priority, (niceness,))

    def is_full(self, network: str | None = None) -> bool:
        """Return whether this network could acquire no slot now."""
        return not self._slots.is_free(network)

    def run(self, work: Callable[[], Result], network: str | None = None) -> Result:
        """Run the work in a thread and return its result. Raises PoolFull if no slot is free."""
        with self._slots.hold(network):
            self.observer.on_queued()
            with self._while_waiting():
                return self._threads.submit(_run_observed, work, self.observer).result()


def _lower_priority(niceness: int) -> None:
    """Raise the niceness of this thread. Only Linux has a priority for each thread."""
    if sys.platform == "linux" and niceness:
        # Added to the niceness of the process: lowering it would need a privilege.
        nicer = min(19, os.getpriority(os.PRIO_PROCESS, 0) + niceness)
        # An exception here would break the pool, which works at any priority.
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), nicer)


def _run_observed(work: Callable[[], Result], observer: PoolObserver) -> Result:
    observer.on_started()
    started_at = time.perf_counter()
    try:
        return work()
    finally:
        observer.on_finished(time.perf_counter() - started_at)
