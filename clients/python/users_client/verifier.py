"""Verify access tokens: in this process if possible, otherwise by a request to the users service.

A token signed with a published key needs no request: this package verifies the signature and looks
for the session in the feed of ended sessions. A token signed with the service's secret is sent to
the service. So is every token if there is no service token or the feed is not current. If the
service does not respond, every such token is rejected.
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
from users_client.errors import ServiceUnavailable, TokenRejected
from users_client.feed import Feed
from users_client.follower import Follower
from users_client.jwks import KeySet
from users_client.service import BEARER, Service, ServiceResponse
from users_client.tokens import ALGORITHMS, ParsedToken, Principal, UserPrincipal, parse

STATUS_PATH = "/auth/status"


class Verifier:
    """Verifies access tokens. One verifier serves all threads of a process.

    `url` is the users service, with a path if a proxy adds one. Without a `service_token` every
    token is sent to the service. `algorithms` are those of the service: a token with another
    algorithm is rejected without a request. A logout takes effect after at most `poll_interval`
    seconds. If the feed was last read more than `max_staleness` seconds ago, every token is sent to
    the service. The first verification sends the first request. A forked process starts with its
    own connections and thread.

    Raises ValueError for an invalid URL, service token, algorithm or time.
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
            raise ValueError("the service token must be one that make_service_token prints")
        if isinstance(algorithms, str) or not algorithms or not ALGORITHMS.issuperset(algorithms):
            raise ValueError(f"algorithms must be some of {', '.join(sorted(ALGORITHMS))}")
        if not 0 < poll_interval < max_staleness:
            raise ValueError("poll_interval must be above zero and below max_staleness")
        self._url, self._service_token = url, service_token
        self._algorithms = frozenset(algorithms)
        self._poll_interval, self._max_staleness = poll_interval, max_staleness
        self._clock = clock
        self._closed = False
        self._init_process()
        _verifiers.add(self)

    def _init_process(self) -> None:
        """Create the connections, locks and thread of this process."""
        self._service = Service(self._url)
        self._keys = KeySet(self._service, self._clock)
        token = self._service_token or ""
        self._feed = Feed(self._service, token, self._max_staleness, self._clock)
        self._follower = Follower(self._keys, self._feed, self._poll_interval)

    def check(self) -> None:
        """Check that the service responds and accepts the service token; call it at startup.

        Raises ServiceTokenRejected or ServiceUnavailable.
        """
        self._keys.refresh()
        if self._service_token is not None:
            self._feed.check()

    def verify(self, token: str) -> Principal:
        """Verify an access token and return its principal.

        Raises TokenRejected for an invalid token, and ServiceUnavailable if it cannot be verified
        at the moment. Waits for the service in the first call, for an unknown key, and for a token
        that must be sent to the service.
        """
        parsed = self._parse(token)
        if parsed.key_id is None or self._service_token is None:
            self._fetch_status(token, parsed)
        else:
            self._verify_here(token, parsed, parsed.key_id)
        parsed.check_time(datetime.now(UTC))
        return parsed.principal

    def fetch_user(self, token: str) -> UserPrincipal:
        """Verify an access token and return its principal with name, e-mail address and rights.

        Sends one request. Raises the errors of verify().
        """
        parsed = self._parse(token)
        user = _user(parsed.principal, self._fetch_status(token, parsed))
        parsed.check_time(datetime.now(UTC))
        return user

    def verify_header(self, authorization: str | None) -> Principal:
        """Verify the bearer token of an Authorization header (RFC 6750, section 2.1).

        Raises the errors of verify(); TokenRejected also if the header or its token is missing.
        """
        return self.verify(bearer_token(authorization))

    def fetch_user_by_header(self, authorization: str | None) -> UserPrincipal:
        """Call fetch_user() with the bearer token of an Authorization header."""
        return self.fetch_user(bearer_token(authorization))

    def _parse(self, token: str) -> ParsedToken:
        if self._closed:
            raise RuntimeError("the verifier is closed")
        parsed = parse(token)
        if parsed.algorithm not in self._algorithms:
            raise TokenRejected("token_invalid", f"{parsed.algorithm} is not accepted")
        return parsed

    def _verify_here(self, token: str, parsed: ParsedToken, key_id: str) -> None:
        """Verify a token here. Raises TokenRejected if it is not valid."""
        self._follower.start()
        if not self._feed.is_current():
            self._fetch_status(token, parsed)
            return
        if self._feed.has_key(key_id):
            raise TokenRejected("token_invalid", "the key was retired")
        key = self._keys.find(key_id)
        if key is None or not key.verifies(token):
            raise TokenRejected("token_invalid", "the signature is not the service's")
        if self._feed.has_session(parsed.principal.session_id):
            raise TokenRejected("session_ended")

    def _fetch_status(self, token: str, parsed: ParsedToken) -> Mapping[str, object]:
        """Send a token to the service and return its user. Raises TokenRejected for a 401."""
        response = self._service.get(STATUS_PATH, token)
        if response.status == 401:
            raise _error(response)
        data = response.member("data")
        if response.status != 200 or response.member("status") != "success":
            raise ServiceUnavailable(f"{STATUS_PATH}: status {response.status}")
        if not isinstance(data, dict) or data.get("id") != parsed.principal.user_id:
            raise ServiceUnavailable(f"{STATUS_PATH}: the response is about another user")
        return data

    def close(self) -> None:
        """Stop the thread and close the connections. The verifier cannot be used afterwards."""
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
    """Return the token of an Authorization header. Raises TokenRejected if there is none."""
    if authorization is None:
        raise TokenRejected("token_missing", sent=False)
    scheme, _, token = authorization.partition(" ")
    token = token.strip(" ")
    if scheme.lower() != "bearer" or not token:
        raise TokenRejected("token_invalid", "no bearer token in the header", sent=False)
    return token


def _user(principal: Principal, data: Mapping[str, object]) -> UserPrincipal:
    """Return the principal with the user's data. Raises ServiceUnavailable if that is malformed."""
    username, email, admin = data.get("username"), data.get("email"), data.get("admin")
    if not isinstance(username, str) or not isinstance(email, str) or not isinstance(admin, bool):
        raise ServiceUnavailable(f"{STATUS_PATH}: not a user")
    return UserPrincipal(
        principal.user_id, principal.session_id, principal.token_id,
        principal.issued_at, principal.expires_at, username, email, admin,
    )  # fmt: skip


def _error(response: ServiceResponse) -> TokenRejected:
    """Return the error in a 401. Raises ServiceUnavailable if it is not the users service's."""
    code = response.member("code")
    if response.member("status") != "error" or not isinstance(code, str):
        raise ServiceUnavailable(f"{STATUS_PATH}: a 401 that is not the users service's")
    return TokenRejected(code)


_verifiers: WeakSet[Verifier] = WeakSet()


def _reset_after_fork() -> None:
    """Create new connections and locks in a forked process.

    If two processes read from one connection, they would get each other's responses. A lock may
    have been held by a thread that does not exist in the child.
    """
    for verifier in list(_verifiers):
        verifier._init_process()


if sys.platform != "win32":
    os.register_at_fork(after_in_child=_reset_after_fork)
