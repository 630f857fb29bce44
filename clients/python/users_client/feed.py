"""The feed of ended sessions and leaked keys, read page by page.

Once an hour the whole feed is read from the beginning. This drops sessions that have expired, and
recovers the position after the service's database was restored from a backup.
"""

import re
from dataclasses import dataclass, field

from users_client.clock import Clock
from users_client.errors import ServiceTokenRejected, ServiceUnavailable
from users_client.service import Service, ServiceResponse
from users_client.tokens import HEX_ID, KEY_ID

PATH = "/auth/revocations"
MAX_PAGE = 1000
MAX_ID = 2**31 - 1
FULL_READ_INTERVAL = 3600.0
"""Seconds between two reads from the beginning of the feed."""


@dataclass(slots=True)
class FeedState:
    """The entries read since the beginning of the feed, and the position."""

    began_at: float
    session_ids: set[str] = field(default_factory=set)
    key_ids: set[str] = field(default_factory=set)
    next: int = 0
    etag: str | None = None
    """Of the last response to a request with `after={next}`."""


@dataclass(frozen=True, slots=True)
class Page:
    """A validated response of the feed."""

    session_ids: list[str]
    key_ids: list[str]
    next: int


class Feed:
    """The ended sessions and leaked keys. One thread polls; any thread may read."""

    def __init__(
        self, service: Service, service_token: str, max_staleness: float, clock: Clock
    ) -> None:
        self._service = service
        self._service_token = service_token
        self._max_staleness = max_staleness
        self._clock = clock
        self._state: FeedState | None = None
        self._polled_at: float | None = None

    def is_current(self) -> bool:
        """Return whether the last complete poll is at most `max_staleness` old."""
        polled_at = self._polled_at
        return polled_at is not None and self._clock() - polled_at <= self._max_staleness

    def has_session(self, session_id: str) -> bool:
        """Return whether the feed lists this session as ended."""
        return self._state is not None and session_id in self._state.session_ids

    def has_key(self, key_id: str) -> bool:
        """Return whether the feed lists this key as leaked."""
        return self._state is not None and key_id in self._state.key_ids

    def poll(self) -> None:
        """Read all new pages. Raises ServiceUnavailable if the end cannot be reached.

        The age of the feed counts from the time of the first request, not of its response.
        """
        now, state = self._clock(), self._state
        if state is None or now - state.began_at >= FULL_READ_INTERVAL:
            state = FeedState(began_at=now)
        while self._read_page(state):
            pass
        self._state, self._polled_at = state, now

    def check(self) -> None:
        """Request an empty page. Raises ServiceTokenRejected or ServiceUnavailable."""
        _check(self._service.get(f"{PATH}?after={MAX_ID}", self._service_token))

    def _read_page(self, state: FeedState) -> bool:
        """Read the next page; return whether there may be more."""
        path = f"{PATH}?after={state.next}"
        response = self._service.get(path, self._service_token, state.etag)
        if response.status == 304 and state.etag is not None:
            return False
        _check(response)
        return _add_page(_page(response), response.etag, state)


def _check(response: ServiceResponse) -> None:
    if response.status in {401, 403}:
        raise ServiceTokenRejected
    if response.status != 200:
        raise ServiceUnavailable(f"{PATH}: status {response.status}")


def _add_page(page: Page, etag: str | None, state: FeedState) -> bool:
    """Add a page to the state; return whether there may be more.

    Raises ServiceUnavailable if there is more that cannot be requested yet.
    """
    state.session_ids.update(page.session_ids)
    state.key_ids.update(page.key_ids)
    moved = page.next > state.next
    full = len(page.session_ids) >= MAX_PAGE
    # An ETag is valid for one position, and only if the page is not full.
    state.next, state.etag = page.next, None if moved or full else etag
    if full and not moved:  # the service repeats the last ten seconds
        raise ServiceUnavailable(f"{PATH}: more ended at once than a page holds")
    return full


def _page(response: ServiceResponse) -> Page:
    """Return the page in a response. Raises ServiceUnavailable if it is malformed."""
    data = response.member("data")
    if not isinstance(data, dict):
        raise ServiceUnavailable(f"{PATH}: not a page")
    session_ids, key_ids = data.get("session_ids"), data.get("retired_keys")
    after = data.get("next")
    if not isinstance(session_ids, list) or not isinstance(key_ids, list):
        raise ServiceUnavailable(f"{PATH}: not a page")
    # An id in another spelling would match no token, and an ended session would be accepted.
    well_formed = _all_match(session_ids, HEX_ID) and _all_match(key_ids, KEY_ID)
    if type(after) is not int or not well_formed:
        raise ServiceUnavailable(f"{PATH}: not a page")
    return Page(session_ids, key_ids, after)


def _all_match(values: list[object], form: re.Pattern[str]) -> bool:
    return all(isinstance(value, str) and form.fullmatch(value) for value in values)
