"""Decides whether a token is good: here where what is known here is young enough, else by asking.

A token that was signed by a published key costs no request: its signature is verified here, and its
session looked up among those that have ended. A token that was signed by the service's secret, and
every token while the feed of ended sessions is not current or there is no service token to read it
by, is sent to the service. When that does not answer, nothing is good.
"""

import os
import sys
import time
from collections.abc import Collection, Mapping
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
from users_client.tokens import ALGORITHMS, Principal, Reading, UserPrincipal, read

STATUS_PATH = "/auth/status"


class Verifier:
    """Verifies access tokens; one for a process and all of its threads.

    `url` may have a path, where a proxy serves the users service under one. Without a
    `service_token` every token is sent to the service. `algorithms` are those by which the service
    signs: a token that names another is rejected without a request. `poll_interval` is how many
    seconds a logout may take to count here. What was learned longer ago than `max_staleness`
    seconds is not relied on. Nothing is sent before the first verification. A process that is
    forked begins anew, with connections and a thread of its own.

    Raises ValueError for a URL, a service token, algorithms or times that cannot be.
    """

    def __init__(  # noqa: PLR0913  # settings, by name
        self,
        url: str,
        service_token: str | None = None,
        *,
        algorithms: Collection[str] = ALGORITHMS,
        poll_interval: float = 10.0,
        max_staleness: float = 60.0,
        clock: Clock = time.monotonic,
    ) -> None:
        if service_token is not None and not BEARER.fullmatch(service_token):
            raise ValueError("the service token is none that make_service_token makes")
        if isinstance(algorithms, str) or not algorithms or not ALGORITHMS.issuperset(algorithms):
            raise ValueError(f"algorithms must be some of {', '.join(sorted(ALGORITHMS))}")
        if not 0 < poll_interval < max_staleness:
            raise ValueError("poll_interval must be above zero and below max_staleness")
        self._url, self._service_token = url, service_token
        self._algorithms = frozenset(algorithms)
        self._poll_interval, self._max_staleness = poll_interval, max_staleness
        self._clock = clock
        self._closed = False
        self._begin()
        _verifiers.add(self)

    def _begin(self) -> None:
        """Make what belongs to one process: connections, locks, and a thread that is yet to run."""
        self._service = Service(self._url)
        self._keys = KeySet(self._service, self._clock)
        token = self._service_token or ""
        self._feed = Feed(self._service, token, self._max_staleness, self._clock)
        self._follower = Follower(self._keys, self._feed, self._poll_interval)

    def check(self) -> None:
        """Ask the service whether it answers and knows the service token; call it at start-up.

        Raises ServiceTokenRejected or ServiceUnavailable.
        """
        self._keys.refresh()
        if self._service_token is not None:
            self._feed.check()

    def verify(self, token: str) -> Principal:
        """Return whose this access token is.

        Raises TokenRefused for a token that opens nothing, and ServiceUnavailable where nobody can
        say. Only the first call, an unknown key and what must be asked wait for the service.
        """
        reading = self._read(token)
        if reading.key_id is None or self._service_token is None:
            self._ask(token, reading)
        else:
            self._decide(token, reading, reading.key_id)
        reading.check_time(datetime.now(UTC))
        return reading.principal

    def fetch_user(self, token: str) -> UserPrincipal:
        """Return whose this access token is, with username, e-mail address and rights.

        Costs one request. Raises what verify() raises.
        """
        reading = self._read(token)
        user = _user(reading.principal, self._ask(token, reading))
        reading.check_time(datetime.now(UTC))
        return user

    def verify_header(self, authorization: str | None) -> Principal:
        """Return whose the bearer token of an Authorization header is (RFC 6750, section 2.1).

        Raises what verify() raises; TokenRefused also where there is no header or no token in it.
        """
        return self.verify(bearer_token(authorization))

    def fetch_user_by_header(self, authorization: str | None) -> UserPrincipal:
        """Return what fetch_user() does of the bearer token of an Authorization header."""
        return self.fetch_user(bearer_token(authorization))

    def _read(self, token: str) -> Reading:
        if self._closed:
            raise RuntimeError("the verifier is closed")
        reading = read(token)
        if reading.algorithm not in self._algorithms:
            raise TokenRefused("token_invalid", f"{reading.algorithm} is not accepted")
        return reading

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
        if self._feed.has_session(reading.principal.session_id):
            raise TokenRefused("session_ended")

    def _ask(self, token: str, reading: Reading) -> Mapping[str, object]:
        """Return what the service says of the user of a token that it lets pass."""
        answer = self._service.get(STATUS_PATH, token)
        if answer.status == 401:
            raise _refusal(answer)
        data = answer.member("data")
        if answer.status != 200 or answer.member("status") != "success":
            raise ServiceUnavailable(f"{STATUS_PATH}: status {answer.status}")
        if not isinstance(data, dict) or data.get("id") != reading.principal.user_id:
            raise ServiceUnavailable(f"{STATUS_PATH}: the answer is not about this token")
        return data

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


def bearer_token(authorization: str | None) -> str:
    """Return the token of an Authorization header. Raises TokenRefused where there is none."""
    if authorization is None:
        raise TokenRefused("token_missing", sent=False)
    scheme, _, token = authorization.partition(" ")
    token = token.strip(" ")
    if scheme.lower() != "bearer" or not token:
        raise TokenRefused("token_invalid", "no bearer token in the header", sent=False)
    return token


def _user(principal: Principal, data: Mapping[str, object]) -> UserPrincipal:
    """Return the principal with the user's names and rights. Raises ServiceUnavailable."""
    username, email, admin = data.get("username"), data.get("email"), data.get("admin")
    if not isinstance(username, str) or not isinstance(email, str) or not isinstance(admin, bool):
        raise ServiceUnavailable(f"{STATUS_PATH}: not a user")
    return UserPrincipal(
        principal.user_id, principal.session_id, principal.token_id,
        principal.issued_at, principal.expires_at, username, email, admin,
    )  # fmt: skip


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
