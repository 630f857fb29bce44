"""The thread that polls the published keys and the feed of ended sessions."""

import logging
import threading

from users_client.errors import ServiceUnavailable
from users_client.feed import Feed
from users_client.jwks import KeySet

_log = logging.getLogger("users_client")


class Follower:
    """Polls the keys and the feed, from the first use until it is stopped."""

    def __init__(self, keys: KeySet, feed: Feed, poll_interval: float) -> None:
        self._keys = keys
        self._feed = feed
        self._poll_interval = poll_interval
        self._starting = threading.Lock()
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None
        self._is_failing = False

    def start(self) -> None:
        """Poll once, then start the thread; do nothing if it is running."""
        if self._is_running():
            return
        with self._starting:
            if not self._is_running() and not self._stopped.is_set():
                self._poll_once()
                self._thread = threading.Thread(
                    target=self._poll_repeatedly, name="users-client", daemon=True
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

    def _poll_repeatedly(self) -> None:
        while not self._stopped.wait(self._poll_interval):
            self._poll_once()

    def _poll_once(self) -> None:
        failures = []
        for poll in (self._keys.refresh, self._feed.poll):
            try:
                poll()
            except ServiceUnavailable as error:
                failures.append(str(error))
        self._log_change(failures)

    def _log_change(self, failures: list[str]) -> None:
        """Log when polling starts to fail and when it works again, not at every poll."""
        if failures and not self._is_failing:
            _log.warning("cannot poll the users service: %s", "; ".join(failures))
        if self._is_failing and not failures:
            _log.warning("polling the users service works again")
        self._is_failing = bool(failures)
