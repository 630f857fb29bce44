"""The one thread by which a process follows the service's keys and its feed."""

import logging
import threading

from users_client.errors import ServiceUnavailable
from users_client.feed import Feed
from users_client.jwks import KeySet

_log = logging.getLogger("users_client")


class Follower:
    """Keeps the keys and the feed current, from the first use until it is stopped."""

    def __init__(self, keys: KeySet, feed: Feed, poll_interval: float) -> None:
        self._keys = keys
        self._feed = feed
        self._poll_interval = poll_interval
        self._starting = threading.Lock()
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None
        self._is_behind = False

    def start(self) -> None:
        """Follow once here and now, then on in a thread; nothing where that is running."""
        if self._is_running():
            return
        with self._starting:
            if not self._is_running() and not self._stopped.is_set():
                self._follow_once()
                self._thread = threading.Thread(
                    target=self._follow, name="users-client", daemon=True
                )
                self._thread.start()

    def stop(self) -> None:
        """End the thread and wait for it."""
        self._stopped.set()
        with self._starting:
            if self._thread is not None:
                self._thread.join()

    def _is_running(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def _follow(self) -> None:
        while not self._stopped.wait(self._poll_interval):
            self._follow_once()

    def _follow_once(self) -> None:
        faults = []
        for follow in (self._keys.refresh, self._feed.poll):
            try:
                follow()
            except ServiceUnavailable as fault:
                faults.append(str(fault))
        self._tell(faults)

    def _tell(self, faults: list[str]) -> None:
        """Log when the service goes out of reach and when it is back, not at every attempt."""
        if faults and not self._is_behind:
            _log.warning("cannot follow the users service: %s", "; ".join(faults))
        if self._is_behind and not faults:
            _log.warning("following the users service again")
        self._is_behind = bool(faults)
