"""The service's published keys (RFC 7517), kept for as long as it says.

A set is used while the service says that it is fresh, then asked for again by its ETag. When the
service is away the old set goes on being used for an hour after it was last confirmed: a key that
leaked meanwhile is told by the feed, and without the feed no key is used at all.
"""

import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass

import jwt

from users_client.clock import Clock
from users_client.errors import ServiceUnavailable
from users_client.service import Answer, Service
from users_client.tokens import KEY_ID

PATH = "/.well-known/jwks.json"
DEFAULT_LIFETIME = 300
LONGEST_LIFETIME = 3600
"""Seconds for which a set is fresh where the service does not say, and at most."""

LONGEST_USE = 3600.0
"""Seconds for which a set is used that the service has not confirmed since."""

MISS_INTERVAL = 10.0
"""Seconds between two requests that unknown key ids can cause, whatever is thrown at us."""

PUBLIC_MEMBERS = {
    ("EC", "P-256", "ES256"): ("kty", "crv", "x", "y"),
    ("OKP", "Ed25519", "EdDSA"): ("kty", "crv", "x"),
}
"""By type, curve and algorithm: what a public key of ours is made of (RFC 7518, RFC 8037)."""

MAX_AGE = re.compile(r"(?:^|[\s,])max-age=([0-9]{1,9})(?:$|[\s,])", re.ASCII | re.IGNORECASE)

_verifier = jwt.PyJWS()


@dataclass(frozen=True, slots=True)
class Key:
    """A public key, and the one algorithm that it is for."""

    algorithm: str
    public: jwt.PyJWK

    def signed(self, token: str) -> bool:
        """Return whether the token is by this key, and says so of the key's own algorithm."""
        try:
            _verifier.decode(token, self.public.key, algorithms=[self.algorithm])
        except jwt.PyJWTError:
            return False
        return True


@dataclass(frozen=True, slots=True)
class Held:
    """A set as it was published; `confirmed_at` and `fresh_until` are readings of the clock."""

    keys: Mapping[str, Key]
    etag: str | None
    confirmed_at: float
    fresh_until: float


class KeySet:
    """The keys by their ids; for threads."""

    def __init__(self, service: Service, clock: Clock) -> None:
        self._service = service
        self._clock = clock
        self._held: Held | None = None
        self._asking = threading.Lock()
        self._missed_at: float | None = None
        self._miss_failed = False

    def refresh(self) -> None:
        """Ask for the set where it is not fresh any more. Raises ServiceUnavailable."""
        with self._asking:
            if self._held is None or self._clock() >= self._held.fresh_until:
                self._ask()

    def find(self, key_id: str) -> Key | None:
        """Return the key, or None where the service has none of this id.

        An unknown id has the set asked for at once, but not twice in ten seconds. Raises
        ServiceUnavailable where no set is young enough to be believed.
        """
        known = self._usable()
        if known is None or key_id not in known:
            known = self._ask_after_miss(key_id)
        return known.get(key_id)

    def _usable(self) -> Mapping[str, Key] | None:
        held = self._held
        if held is None or self._clock() - held.confirmed_at > LONGEST_USE:
            return None
        return held.keys

    def _ask_after_miss(self, key_id: str) -> Mapping[str, Key]:
        with self._asking:
            known = self._usable()
            if known is not None and key_id in known:  # another thread was here before
                return known
            if self._may_ask():
                self._missed_at, self._miss_failed = self._clock(), True
                self._ask()
                self._miss_failed = False
            known = self._usable()
            if known is None or self._miss_failed:
                raise ServiceUnavailable("the keys could not be had")
            return known

    def _may_ask(self) -> bool:
        return self._missed_at is None or self._clock() - self._missed_at >= MISS_INTERVAL

    def _ask(self) -> None:
        """Ask for the set, and hold what is answered."""
        asked_at, held = self._clock(), self._held
        answer = self._service.get(PATH, etag=held.etag if held else None)
        if answer.status == 304 and held:
            keys, etag = held.keys, held.etag
        elif answer.status == 200:
            keys, etag = _keys(answer), answer.etag
        else:
            raise ServiceUnavailable(f"{PATH}: status {answer.status}")
        self._held = Held(keys, etag, asked_at, asked_at + _lifetime(answer.cache_control))


def _lifetime(cache_control: str) -> int:
    """Return for how many seconds a set is fresh (RFC 9111, section 5.2.2.1)."""
    said = MAX_AGE.search(cache_control)
    seconds = int(said[1]) if said else DEFAULT_LIFETIME
    return min(seconds, LONGEST_LIFETIME)


def _keys(answer: Answer) -> Mapping[str, Key]:
    """Return the keys of a set that this package can use; others are let be."""
    listed = answer.member("keys")
    if not isinstance(listed, list):
        raise ServiceUnavailable("the set has no keys")
    return dict(entry for published in listed if (entry := _key(published)) is not None)


def _key(published: object) -> tuple[str, Key] | None:
    """Return a published key with its id, or None where it is not of a kind that we use."""
    if not isinstance(published, dict) or published.get("use", "sig") != "sig":
        return None
    named = [published.get(name) for name in ("kid", "kty", "crv", "alg")]
    if not all(isinstance(value, str) for value in named) or not KEY_ID.fullmatch(str(named[0])):
        return None
    key_id, kty, crv, algorithm = map(str, named)
    members = PUBLIC_MEMBERS.get((kty, crv, algorithm))
    if members is None:
        return None
    # What else a key may name, a private part included, is left behind.
    public = {name: str(published.get(name)) for name in members}
    try:
        return key_id, Key(algorithm, jwt.PyJWK(public, algorithm))
    except (jwt.PyJWTError, ValueError):  # ValueError: a point that is not on the curve
        return None
