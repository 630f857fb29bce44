"""Decides whether a token is good: here where what is known here is young enough, else by asking.

A token that was signed by a published key costs no request: its signature is verified here, and its
session looked up among those that have ended. A token that was signed by the service's secret, and
every token while the feed of ended sessions is not current, is shown to the service. When that does
not answer, nothing is good.
"""

import os
import sys
import time
from datetime import UTC, datetime
from types import TracebackType
from typing import Self
from weakref import WeakSet

from users_client.clock import Clock
from users_client.errors import ServiceUnavailable, TokenRefused
from users_client.feed import Feed
from users_client.follower import Follower
from users_client.jwks import KeySet
from users_client.service import BEARER, Answer, Service
from users_client.tokens import Identity, Reading, read

STATUS_PATH = "/auth/status"


class Verifier:
    """Verifies access tokens; one for a process and all of its threads.

    `poll_interval` is how many seconds a logout may take to count here. What was learned longer ago
    than `max_staleness` seconds is not relied on. Nothing is sent before the first verification. A
    process that is forked begins anew, with connections and a thread of its own.

    Raises ValueError for a URL, a service token or times that cannot be.
    """

    def __init__(
        self,
        url: str,
        service_token: str,
        *,
        poll_interval: float = 10.0,
        max_staleness: float = 60.0,
        clock: Clock = time.monotonic,
    ) -> None:
        if not BEARER.fullmatch(service_token):
            raise ValueError("the service token is none that make_service_token makes")
        if not 0 < poll_interval < max_staleness:
            raise ValueError("poll_interval must be above zero and below max_staleness")
        self._url, self._service_token = url, service_token
        self._poll_interval, self._max_staleness = poll_interval, max_staleness
        self._clock = clock
        self._closed = False
        self._begin()
        _verifiers.add(self)

    def _begin(self) -> None:
        """Make what belongs to one process: connections, locks, and a thread that is yet to run."""
        self._service = Service(self._url)
        self._keys = KeySet(self._service, self._clock)
        self._feed = Feed(self._service, self._service_token, self._max_staleness, self._clock)
        self._follower = Follower(self._keys, self._feed, self._poll_interval)

    def verify(self, token: str) -> Identity:
        """Return whose this access token is.

        Raises TokenRefused for a token that opens nothing, and ServiceUnavailable where nobody can
        say. Only the first call, an unknown key and what must be asked wait for the service.
        """
        if self._closed:
            raise RuntimeError("the verifier is closed")
        reading = read(token)
        if reading.key_id is None:
            self._ask(token, reading)
        else:
            self._decide(token, reading, reading.key_id)
        if reading.identity.expires_at <= datetime.now(UTC):
            raise TokenRefused("token_expired")
        return reading.identity

    def verify_header(self, authorization: str | None) -> Identity:
        """Return whose the bearer token of an Authorization header is (RFC 6750, section 2.1).

        Raises what verify() raises; TokenRefused also where there is no header or no token in it.
        """
        if authorization is None:
            raise TokenRefused("token_missing", sent=False)
        scheme, _, token = authorization.partition(" ")
        token = token.strip(" ")
        if scheme.lower() != "bearer" or not token:
            raise TokenRefused("token_invalid", "no bearer token in the header", sent=False)
        return self.verify(token)

    def _decide(self, token: str, reading: Reading, key_id: str) -> None:
        """Let pass a token of a published key whose session has not ended."""
        self._follower.start()
        if not self._feed.is_current():
            self._ask(token, reading)
            return
        if self._feed.has_key(key_id):
            raise TokenRefused("token_invalid", "the key was retired")
        key = self._keys.find(key_id)
        if key is None or not key.signed(token):
            raise TokenRefused("token_invalid", "the signature is not the service's")
        if self._feed.has_session(reading.identity.session_id):
            raise TokenRefused("session_ended")

    def _ask(self, token: str, reading: Reading) -> None:
        """Let pass a token that the service itself lets pass."""
        answer = self._service.get(STATUS_PATH, token)
        if answer.status == 401:
            raise _refusal(answer)
        data = answer.member("data")
        if answer.status != 200 or answer.member("status") != "success":
            raise ServiceUnavailable(f"{STATUS_PATH}: status {answer.status}")
        if not isinstance(data, dict) or data.get("id") != reading.identity.user_id:
            raise ServiceUnavailable(f"{STATUS_PATH}: the answer is not about this token")

    def close(self) -> None:
        """Stop the thread and close the connections; a closed verifier verifies nothing."""
        self._closed = True
        self._follower.stop()
        self._service.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _refusal(answer: Answer) -> TokenRefused:
    """Return the service's refusal of a token. Raises ServiceUnavailable for somebody else's."""
    code = answer.member("code")
    if answer.member("status") != "error" or not isinstance(code, str):
        raise ServiceUnavailable(f"{STATUS_PATH}: a refusal that is not the service's")
    return TokenRefused(code)


_verifiers: WeakSet[Verifier] = WeakSet()


def _begin_anew() -> None:
    """Give a forked process nothing of its parent's.

    A connection that two processes read would give one the answer to the other's question, and a
    lock may have been held by a thread that is not here.
    """
    for verifier in list(_verifiers):
        verifier._begin()


if sys.platform != "win32":
    os.register_at_fork(after_in_child=_begin_anew)
