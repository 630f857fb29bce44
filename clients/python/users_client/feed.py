"""The feed of ended sessions and leaked keys, followed page by page.

What has ended is kept until the next full reading, once an hour, which leaves out what has expired
meanwhile; it also finds the place anew in a database that was restored from a copy.
"""

import re
from dataclasses import dataclass, field

from users_client.clock import Clock
from users_client.errors import ServiceTokenRejected, ServiceUnavailable
from users_client.service import Answer, Service
from users_client.tokens import HEX_ID, KEY_ID

PATH = "/auth/revocations"
LARGEST_PAGE = 1000
BEYOND_THE_END = 2**31 - 1
FULL_READING_INTERVAL = 3600.0
"""Seconds between two readings from the feed's beginning."""


@dataclass(slots=True)
class Followed:
    """What the feed has told since its beginning."""

    began_at: float
    session_ids: set[str] = field(default_factory=set)
    key_ids: set[str] = field(default_factory=set)
    next: int = 0
    etag: str | None = None
    """Of the last answer about what lies behind `next`."""


@dataclass(frozen=True, slots=True)
class Page:
    """An answer of the feed, typed."""

    session_ids: list[str]
    key_ids: list[str]
    next: int


class Feed:
    """What must be refused before its time. One thread follows it, any thread may ask it."""

    def __init__(
        self, service: Service, service_token: str, max_staleness: float, clock: Clock
    ) -> None:
        self._service = service
        self._service_token = service_token
        self._max_staleness = max_staleness
        self._clock = clock
        self._followed: Followed | None = None
        self._polled_at: float | None = None

    def is_current(self) -> bool:
        """Return whether the feed was read to its end recently enough to be relied on."""
        polled_at = self._polled_at
        return polled_at is not None and self._clock() - polled_at <= self._max_staleness

    def has_session(self, session_id: str) -> bool:
        """Return whether this session is known to have ended."""
        return self._followed is not None and session_id in self._followed.session_ids

    def has_key(self, key_id: str) -> bool:
        """Return whether this key is known to have leaked."""
        return self._followed is not None and key_id in self._followed.key_ids

    def poll(self) -> None:
        """Read the feed to its end. Raises ServiceUnavailable, also where the end is not in sight.

        The answers are at least as young as the moment of asking, so that is what counts.
        """
        now, followed = self._clock(), self._followed
        if followed is None or now - followed.began_at >= FULL_READING_INTERVAL:
            followed = Followed(began_at=now)
        while self._read_page(followed):
            pass
        self._followed, self._polled_at = followed, now

    def check(self) -> None:
        """Ask for an empty page. Raises ServiceTokenRejected or ServiceUnavailable."""
        _check(self._service.get(f"{PATH}?after={BEYOND_THE_END}", self._service_token))

    def _read_page(self, followed: Followed) -> bool:
        """Take the page behind the place that was reached; return whether more may follow."""
        path = f"{PATH}?after={followed.next}"
        answer = self._service.get(path, self._service_token, followed.etag)
        if answer.status == 304 and followed.etag is not None:
            return False
        _check(answer)
        return _take(_page(answer), answer.etag, followed)


def _check(answer: Answer) -> None:
    if answer.status in {401, 403}:
        raise ServiceTokenRejected
    if answer.status != 200:
        raise ServiceUnavailable(f"{PATH}: status {answer.status}")


def _take(page: Page, etag: str | None, followed: Followed) -> bool:
    """Take a page; return whether more may be asked for.

    Raises ServiceUnavailable where there is more that cannot be asked for yet.
    """
    followed.session_ids.update(page.session_ids)
    followed.key_ids.update(page.key_ids)
    moved = page.next > followed.next
    full = len(page.session_ids) >= LARGEST_PAGE
    # An ETag belongs to a place, and a full page to no end.
    followed.next, followed.etag = page.next, None if moved or full else etag
    if full and not moved:  # all of the page is younger than ten seconds
        raise ServiceUnavailable(f"{PATH}: more ended at once than a page holds")
    return full


def _page(answer: Answer) -> Page:
    """Return the page that was answered. Raises ServiceUnavailable where it is none."""
    data = answer.member("data")
    if not isinstance(data, dict):
        raise ServiceUnavailable(f"{PATH}: not a page")
    session_ids, key_ids = data.get("session_ids"), data.get("retired_keys")
    after = data.get("next")
    if not isinstance(session_ids, list) or not isinstance(key_ids, list):
        raise ServiceUnavailable(f"{PATH}: not a page")
    # An id in another spelling would match no token, and so let an ended session in.
    spelled = _are(session_ids, HEX_ID) and _are(key_ids, KEY_ID)
    if type(after) is not int or not spelled:
        raise ServiceUnavailable(f"{PATH}: not a page")
    return Page(session_ids, key_ids, after)


def _are(values: list[object], form: re.Pattern[str]) -> bool:
    return all(isinstance(value, str) and form.fullmatch(value) for value in values)
