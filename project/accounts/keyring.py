"""The keys that a process has at hand, so that a token is checked without asking for its key.

Whoever signs looks at the database first; whoever verifies looks there only for a key that is not
at hand, at most once in ten seconds whatever is sent. That is enough to know every key in time,
since a key is published for longer than that before it signs. That a key was retired is read with
the session, in the same statement.
"""

import json
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from datetime import datetime, timedelta

from flask import Flask, current_app

from project.accounts import keys
from project.accounts.clients import SERVICE, Client
from project.accounts.keys import KeyRow, is_good
from project.accounts.ring import Held, Ring, opened
from project.clock import utcnow
from project.errors import Unavailable
from project.security.keys import Algorithm, Key, of_secret

LOOK_UP_INTERVAL = timedelta(seconds=10)
"""Between two looks for a key that is not at hand."""


class Keyring:
    """The keys of one app in this process."""

    def __init__(self, app: Flask) -> None:
        self._algorithm = Algorithm(app.config["TOKEN_ALGORITHM"])
        self._rotation_age = timedelta(days=app.config["KEY_ROTATION_DAYS"])
        self._secrets: list[str] = [app.config["SECRET_KEY"], *app.config["SECRET_KEY_FALLBACKS"]]
        self._symmetric = [of_secret(secret) for secret in self._secrets]
        self._ring: Ring | None = None
        self._lock = threading.Lock()
        self._loads = 0
        self._loaded = 0
        self._looking: Future[None] | None = None
        self._looked_at: datetime | None = None

    @property
    def is_symmetric(self) -> bool:
        """Whether the secret itself signs."""
        return self._algorithm is Algorithm.HS256

    def signing_key(self) -> Key:
        """Return the key that signs now; it is made where there is none, or the newest is old.

        To be called before the transaction whose outcome will be signed: it may write. Raises
        Unavailable where the keys are removed meanwhile.
        """
        return self._symmetric[0] if self.is_symmetric else self._chosen(self.prepared(), utcnow())

    def prepared(self) -> Ring:
        """Return the keys as they are, with a new one if that is due; it may write."""
        ring, now = self._load(), utcnow()
        if self.is_symmetric:
            return ring
        if ring.is_successor_due(self._algorithm, self._rotation_age, now):
            signs_at = now + keys.lead() if ring.signer(now) else now
            keys.add(self._algorithm, ring.last_number + 1, signs_at, SERVICE)
            ring = self._load()
        return ring

    def loaded(self) -> Ring:
        """Return the keys as they are."""
        return self._load()

    def rotate(self, signs_at: datetime, client: Client = SERVICE) -> str | None:
        """Make a key that signs from this moment on; return its id, None if another was faster."""
        return keys.add(self._algorithm, self._load().last_number + 1, signs_at, client)

    def verifying_keys(self, key_id: str | None) -> Sequence[Key]:
        """Return the keys that a token may be signed by whose header has this `kid`, or none."""
        if key_id is None:
            return self._symmetric if self._is_secret_good() else []
        return self._at_hand(key_id) or self._looked_up(key_id)

    def signer_id(self) -> str | None:
        """Return the id of the key that signs now, without making one; None where none can."""
        ring = self._load()
        signer = ring.signer(utcnow(), self._algorithm) or ring.newest(self._algorithm)
        return None if self.is_symmetric or signer is None else signer.row.kid

    def _chosen(self, ring: Ring, now: datetime) -> Key:
        signer = ring.signer(now, self._algorithm) or ring.newest(self._algorithm)
        key = signer.signing() if signer else None
        if key is None:
            raise Unavailable
        return key

    def _is_secret_good(self) -> bool:
        """Tell whether tokens signed by the secret are still taken: until the last has expired."""
        if self.is_symmetric:
            return True
        first = (self._ring or self._load()).first_signs_at
        return first is None or utcnow() < first + keys.lead() + keys.longest_lifetime()

    def _at_hand(self, key_id: str) -> list[Key]:
        held, now = self._ring.held if self._ring else (), utcnow()
        good = (one.key for one in held if one.row.kid == key_id and is_good(one.row, now))
        return [key for key in good if key is not None]

    def _looked_up(self, key_id: str) -> list[Key]:
        """Look into the database, unless that was done just now; who comes meanwhile waits along.

        The look itself is not under the lock: a database that is away would have all wait in turn.
        """
        with self._lock:
            looking, is_first = self._looking, False
            if looking is None and self._may_look():
                looking, is_first = Future[None](), True
                self._looking = looking
        if is_first and looking is not None:
            self._look(looking)
        elif looking is not None:
            looking.result()
        return self._at_hand(key_id)

    def _may_look(self) -> bool:
        # Either way: a clock that is set back must not keep the door shut.
        return self._looked_at is None or abs(utcnow() - self._looked_at) >= LOOK_UP_INTERVAL

    def _look(self, looking: Future[None]) -> None:
        try:
            self._load()
            self._looked_at = utcnow()
            looking.set_result(None)
        finally:
            self._looking = None
            if not looking.done():
                looking.set_exception(Unavailable())

    def _load(self) -> Ring:
        """Read the keys; what was read earlier never takes the place of what was read later."""
        with self._lock:
            self._loads += 1
            number = self._loads
        ring = Ring([self._held(row) for row in keys.kept()])
        with self._lock:
            if number > self._loaded:
                self._loaded, self._ring = number, ring
        return ring

    def _held(self, row: KeyRow) -> Held:
        known = self._ring.held if self._ring else ()
        same = (one for one in known if one.row.kid == row.kid and one.row.jwk == row.jwk)
        found = next(same, None)
        return Held(row, found.key if found else opened(row, self._secrets))


def init_app(app: Flask) -> None:
    """Give the app its keys."""
    app.extensions["keyring"] = Keyring(app)


def current() -> Keyring:
    """Return the current app's keys."""
    keyring: Keyring = current_app.extensions["keyring"]
    return keyring


def published(*, may_write: bool = True) -> list[dict[str, str]]:
    """Return the public keys as JWKs, the newest first; a key that is due is made, if it may be."""
    ring, now = current().prepared() if may_write else current().loaded(), utcnow()
    good = (one.row.jwk for one in reversed(ring.held) if one.key and is_good(one.row, now))
    return [json.loads(jwk) for jwk in good]
