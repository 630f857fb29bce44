"""The service's published keys (RFC 7517), and their cache.

A key set is cached for its `max-age`, then requested again with its ETag. If the service is
unavailable, the cached set is used for up to an hour after the service last confirmed it. This is
safe: the feed lists leaked keys, and without a current feed no key is used.
"""

import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass

import jwt

from users_client.clock import Clock
from users_client.errors import ServiceUnavailable
from users_client.service import Service, ServiceResponse
from users_client.tokens import KEY_ID

PATH = "/.well-known/jwks.json"
DEFAULT_LIFETIME = 300
MAX_LIFETIME = 3600
"""Seconds for which a key set is fresh: without a `max-age`, and at most."""

MAX_UNCONFIRMED = 3600.0
"""Seconds for which a key set is used after the service last confirmed it."""

MISS_INTERVAL = 10.0
"""Minimum seconds between two requests that unknown key ids cause."""

PUBLIC_MEMBERS = {
    ("EC", "P-256", "ES256"): ("kty", "crv", "x", "y"),
    ("OKP", "Ed25519", "EdDSA"): ("kty", "crv", "x"),
}
"""The members of a public key, by type, curve and algorithm (RFC 7518, RFC 8037)."""

MAX_AGE = re.compile(r"(?:^|[\s,])max-age=([0-9]{1,9})(?:$|[\s,])", re.ASCII | re.IGNORECASE)

_verifier = jwt.PyJWS()


@dataclass(frozen=True, slots=True)
class Key:
    """A public key and its algorithm."""

    algorithm: str
    public: jwt.PyJWK

    def verifies(self, token: str) -> bool:
        """Return whether this key signed the token, with the key's own algorithm."""
        try:
            _verifier.decode(token, self.public.key, algorithms=[self.algorithm])
        except jwt.PyJWTError:
            return False
        return True


@dataclass(frozen=True, slots=True)
class CachedSet:
    """A published key set; `confirmed_at` and `fresh_until` are times of the clock."""

    keys: Mapping[str, Key]
    etag: str | None
    confirmed_at: float
    fresh_until: float


class KeySet:
    """The published keys by id. Safe for threads."""

    def __init__(self, service: Service, clock: Clock) -> None:
        self._service = service
        self._clock = clock
        self._cached: CachedSet | None = None
        self._requesting = threading.Lock()
        self._missed_at: float | None = None
        self._miss_failed = False

    def refresh(self) -> None:
        """Request the set if it is no longer fresh. Raises ServiceUnavailable."""
        with self._requesting:
            if self._cached is None or self._clock() >= self._cached.fresh_until:
                self._request()

    def find(self, key_id: str) -> Key | None:
        """Return the key, or None if the service publishes none with this id.

        An unknown id causes a request for the set, at most once in ten seconds. Raises
        ServiceUnavailable if there is no set, or if it is too old.
        """
        known = self._usable()
        if known is None or key_id not in known:
            known = self._request_after_miss(key_id)
        return known.get(key_id)

    def _usable(self) -> Mapping[str, Key] | None:
        cached = self._cached
        if cached is None or self._clock() - cached.confirmed_at > MAX_UNCONFIRMED:
            return None
        return cached.keys

    def _request_after_miss(self, key_id: str) -> Mapping[str, Key]:
        with self._requesting:
            known = self._usable()
            if known is not None and key_id in known:  # another thread has requested it
                return known
            if self._may_request():
                self._missed_at, self._miss_failed = self._clock(), True
                self._request()
                self._miss_failed = False
            known = self._usable()
            if known is None or self._miss_failed:
                raise ServiceUnavailable("the published keys are unavailable")
            return known

    def _may_request(self) -> bool:
        return self._missed_at is None or self._clock() - self._missed_at >= MISS_INTERVAL

    def _request(self) -> None:
        """Request the set and cache it."""
        requested_at, cached = self._clock(), self._cached
        response = self._service.get(PATH, etag=cached.etag if cached else None)
        if response.status == 304 and cached:
            keys, etag = cached.keys, cached.etag
        elif response.status == 200:
            keys, etag = _keys(response), response.etag
        else:
            raise ServiceUnavailable(f"{PATH}: status {response.status}")
        self._cached = CachedSet(
            keys, etag, requested_at, requested_at + _lifetime(response.cache_control)
        )


def _lifetime(cache_control: str) -> int:
    """Return the seconds for which a set is fresh (RFC 9111, section 5.2.2.1)."""
    found = MAX_AGE.search(cache_control)
    seconds = int(found[1]) if found else DEFAULT_LIFETIME
    return min(seconds, MAX_LIFETIME)


def _keys(response: ServiceResponse) -> Mapping[str, Key]:
    """Return the keys of a set that this package supports."""
    listed = response.member("keys")
    if not isinstance(listed, list):
        raise ServiceUnavailable("the set has no keys")
    return dict(entry for published in listed if (entry := _key(published)) is not None)


def _key(published: object) -> tuple[str, Key] | None:
    """Return a published key with its id, or None if it is not supported."""
    if not isinstance(published, dict) or published.get("use", "sig") != "sig":
        return None
    named = [published.get(name) for name in ("kid", "kty", "crv", "alg")]
    if not all(isinstance(value, str) for value in named) or not KEY_ID.fullmatch(str(named[0])):
        return None
    key_id, kty, crv, algorithm = map(str, named)
    members = PUBLIC_MEMBERS.get((kty, crv, algorithm))
    if members is None:
        return None
    # Drop all other members, such as a private key.
    public = {name: str(published.get(name)) for name in members}
    try:
        return key_id, Key(algorithm, jwt.PyJWK(public, algorithm))
    except (jwt.PyJWTError, ValueError):  # ValueError: a point that is not on the curve
        return None
