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
    """All slots of the pool are in use, or the network has used up its share of them."""


class PoolSlots:
    """The slots of a pool, one for each hash that runs or waits.

    One network may hold at most half of the slots. Work without a network, such as that of a
    command, may hold all of them.
    """

    def __init__(self, number: int) -> None:
        self._number = number
        self._share = max(1, number // 2)
        self._held: Counter[str | None] = Counter()
        self._lock = threading.Lock()

    def is_free(self, network: str | None) -> bool:
        """Return whether a slot is free for this network now."""
        has_share = network is None or self._held[network] < self._share
        return has_share and self._held.total() < self._number

    @contextmanager
    def hold(self, network: str | None) -> Iterator[None]:
        """Hold a slot during the `with` block. Raises PoolFull if none is free."""
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
    """Receives the events of a pool, in the thread in which they happen. This base ignores them."""

    def on_queued(self) -> None:
        """Handle that a hash was queued."""

    def on_started(self) -> None:
        """Handle that a thread has started a queued hash."""

    def on_finished(self, seconds: float) -> None:
        """Handle that a hash has ended, after this many seconds."""


class HashingPool:
    """A few threads that hash passwords, and a short queue.

    bcrypt releases Python's global interpreter lock, so hashes run in parallel. More threads than
    cores would slow down all other requests. The threads start with the first hash, since a server
    must not fork while it has threads. A caller waits inside the context manager `while_waiting`.
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
        """Return whether no slot is free for this network now."""
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
        # Never below the niceness of the process: to lower niceness, a thread needs a privilege.
        nicer = min(19, os.getpriority(os.PRIO_PROCESS, 0) + niceness)
        # An exception here would break the pool. The priority is not essential.
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), nicer)


def _run_observed(work: Callable[[], Result], observer: PoolObserver) -> Result:
    observer.on_started()
    started_at = time.perf_counter()
    try:
        return work()
    finally:
        observer.on_finished(time.perf_counter() - started_at)
