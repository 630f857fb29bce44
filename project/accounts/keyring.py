"""The keys that a process has at hand, so that a token is checked without asking for its key.

Whoever signs looks at the database first; whoever verifies looks there only for a key that is not
at hand, at most once in ten seconds whatever is sent. That is enough to know every key in time,
since a key is published for longer than that before it signs. That a key was retired is read with
the session, in the same statement.
"""

import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from flask import Flask, current_app

from project.accounts import keys
from project.accounts.clients import SERVICE, Client
from project.accounts.keys import KeyRow, is_good
from project.clock import utcnow
from project.security.keys import (
    Algorithm,
    Key,
    PrivateKey,
    Unreadable,
    of_secret,
    public_part,
    unseal,
)

RELOAD_INTERVAL = timedelta(seconds=10)
"""Between two looks for a key that is not at hand."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Held:
    """A key of the database, ready for use."""

    row: KeyRow
    key: Key

    def may_sign(self) -> bool:
        """Tell whether this process could sign with it, at some time."""
        return self.row.retired_at is None and self.key.signing is not None

    def signs_at(self, moment: datetime) -> bool:
        """Tell whether this process could sign with it at this time."""
        until = self.row.signs_until
        return self.row.signs_at <= moment and (until is None or moment < until)


class Keyring:
    """The keys of one app in this process."""

    def __init__(self, app: Flask) -> None:
        self._algorithm = Algorithm(app.config["TOKEN_ALGORITHM"])
        self._rotation_age = timedelta(days=app.config["KEY_ROTATION_DAYS"])
        self._secrets: list[str] = [app.config["SECRET_KEY"], *app.config["SECRET_KEY_FALLBACKS"]]
        self._symmetric = [of_secret(secret) for secret in self._secrets]
        self._held: Sequence[Held] | None = None
        self._lock = threading.Lock()
        self._missed_at: datetime | None = None

    @property
    def is_symmetric(self) -> bool:
        """Whether the secret itself signs."""
        return self._algorithm is Algorithm.HS256

    def prepare(self) -> None:
        """See to it that there is a key to sign with, and that it is not too old.

        To be called before the transaction whose outcome will be signed: it may write.
        """
        if self.is_symmetric:
            return
        self._load()
        now = utcnow()
        if self._is_successor_due(now):
            self.rotate(now + keys.lead() if self._signer(now) else now)

    def rotate(self, signs_at: datetime, client: Client = SERVICE) -> str | None:
        """Make a key that signs from this moment on; return its id, None if another was faster."""
        last = self._held[-1].row.id if self._held else 0
        made = keys.add(self._algorithm, last + 1, signs_at, client)
        self._load()
        return made

    def signing_key(self) -> Key:
        """Return the key that signs now."""
        if self.is_symmetric:
            return self._symmetric[0]
        if self._held is None:
            self.prepare()
        signer = self._signer(utcnow()) or self._newest()
        assert signer is not None, "prepare() has made one"
        return signer.key

    def verifying_keys(self, key_id: str | None) -> Sequence[Key]:
        """Return the keys that a token may be signed by whose header has this `kid`, or none."""
        if key_id is None:
            return self._symmetric if self._is_secret_good() else []
        return self._at_hand(key_id) or self._looked_up(key_id)

    def signs_with(self, key_id: str) -> bool:
        """Tell whether this is the key that signs now."""
        return self.signing_key().key_id == key_id

    def _is_secret_good(self) -> bool:
        """Tell whether tokens signed by the secret are still taken: until the last has expired."""
        if self.is_symmetric:
            return True
        held = self._load() if self._held is None else self._held
        return not held or utcnow() < held[0].row.signs_at + keys.lead() + keys.longest_lifetime()

    def _at_hand(self, key_id: str) -> list[Key]:
        now = utcnow()
        return [
            held.key
            for held in self._held or ()
            if held.row.kid == key_id and is_good(held.row, now)
        ]

    def _looked_up(self, key_id: str) -> list[Key]:
        with self._lock:
            now = utcnow()
            # Either way: a clock that is set back must not keep the door shut.
            if self._missed_at is None or abs(now - self._missed_at) >= RELOAD_INTERVAL:
                self._load()
                self._missed_at = now
        return self._at_hand(key_id)

    def _load(self) -> Sequence[Held]:
        known = {held.row.kid: held.key for held in self._held or ()}
        loaded = [Held(row, known.get(row.kid) or self._opened(row)) for row in keys.kept()]
        self._held = loaded
        return loaded

    def _opened(self, row: KeyRow) -> Key:
        return Key(row.algorithm, public_part(row.jwk), self._private_part(row), row.kid)

    def _private_part(self, row: KeyRow) -> PrivateKey | None:
        if row.private_key == keys.ERASED:
            return None
        try:
            return unseal(row.private_key, self._secrets)
        except Unreadable:
            log.warning("key %s cannot sign: none of our secrets opens it", row.kid)
            return None

    def _is_successor_due(self, now: datetime) -> bool:
        newest = self._newest()
        if newest is None:
            return True
        # Processes that disagree, on the secret or the algorithm, must not outdo each other.
        if self._held and now - self._held[-1].row.created_at < keys.lead():
            return False
        age = now - newest.row.created_at
        is_old = bool(self._rotation_age) and age >= self._rotation_age
        return is_old or newest.row.signs_until is not None

    def _newest(self) -> Held | None:
        """Return the last key of our algorithm that could sign, now or later."""
        ours = [held for held in self._ours_last() if held.row.algorithm is self._algorithm]
        return ours[-1] if ours else None

    def _signer(self, now: datetime) -> Held | None:
        """Return the last key that may sign now, of our algorithm if there is one."""
        ready = [held for held in self._ours_last() if held.signs_at(now)]
        return ready[-1] if ready else None

    def _ours_last(self) -> list[Held]:
        """Return the keys that could sign, those of our algorithm behind the others."""
        able = [held for held in self._held or () if held.may_sign()]
        return sorted(able, key=lambda held: held.row.algorithm is self._algorithm)


def init_app(app: Flask) -> None:
    """Give the app its keys."""
    app.extensions["keyring"] = Keyring(app)


def current() -> Keyring:
    """Return the current app's keys."""
    keyring: Keyring = current_app.extensions["keyring"]
    return keyring


def published() -> list[dict[str, str]]:
    """Return the public keys as JWKs, the newest first; the first key is made when it is needed."""
    current().prepare()
    now = utcnow()
    return [key.jwk for key in reversed(keys.kept()) if is_good(key, now)]
