"""A snapshot of the signing keys: which key signs, and whether the next one is due."""

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from project.accounts import signing_keys
from project.accounts.signing_keys import KeyRow
from project.security.signing_keys import (
    Algorithm,
    Key,
    PrivateKey,
    Unreadable,
    load_public_key,
    unseal,
)

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LoadedKey:
    """A row of `signing_keys` with its loaded key, which is None if the row is damaged."""

    row: KeyRow
    key: Key | None

    def signing_key(self) -> Key | None:
        """Return the key if this process is able to sign with it, else None."""
        has_private_key = self.key is not None and self.key.signing is not None
        return self.key if has_private_key and self.row.retired_at is None else None

    def is_signing_at(self, time: datetime) -> bool:
        """Return whether this time is within the key's signing period."""
        until = self.row.signs_until
        return self.row.signs_at <= time and (until is None or time < until)


@dataclass(frozen=True, slots=True)
class KeySnapshot:
    """The keys of `signing_keys.list_unexpired()` at one time, by id."""

    keys: Sequence[LoadedKey]

    @property
    def last_number(self) -> int:
        """The id of the last key; 0 if there is none."""
        return self.keys[-1].row.id if self.keys else 0

    @property
    def first(self) -> KeyRow | None:
        """The first key ever created, which replaced SECRET_KEY for signing access tokens."""
        return self.keys[0].row if self.keys else None

    def find_newest(self, algorithm: Algorithm) -> LoadedKey | None:
        """Return the last key of this algorithm that is able to sign, now or later."""
        candidates = [key for key in self._able_to_sign() if key.row.algorithm == algorithm]
        return candidates[-1] if candidates else None

    def find_signer(self, now: datetime, preferred: Algorithm | None = None) -> LoadedKey | None:
        """Return the last key in its signing period, preferably of this algorithm."""
        candidates = [key for key in self._able_to_sign() if key.is_signing_at(now)]
        candidates.sort(key=lambda key: key.row.algorithm == preferred)
        return candidates[-1] if candidates else None

    def is_successor_due(self, algorithm: Algorithm, age: timedelta, now: datetime) -> bool:
        """Return whether a new key is needed.

        It is if there is no key of the algorithm, if no key signs now or later, or if the newest is
        older than `age`, where 0 means no limit. The age is that of the newest key of any
        algorithm: processes with different algorithms must not rotate in turn.
        """
        newest = self.find_newest(algorithm)
        if newest is None or (self.find_signer(now) is None and newest.row.signs_at <= now):
            return True
        return bool(age) and now - self._able_to_sign()[-1].row.created_at >= age

    def _able_to_sign(self) -> list[LoadedKey]:
        return [key for key in self.keys if key.signing_key() is not None]


def load_key(row: KeyRow, secrets: Sequence[str]) -> Key | None:
    """Return the key of a row; log an error and return None if it is damaged or unsupported."""
    try:
        algorithm = Algorithm(row.algorithm)
        public = load_public_key(json.loads(row.jwk), algorithm, row.kid)
    except (Unreadable, ValueError) as error:
        log.error("key %s cannot be used: %s", row.kid, error)
        return None
    return Key(algorithm, public, _load_private_key(row, secrets), row.kid)


def _load_private_key(row: KeyRow, secrets: Sequence[str]) -> PrivateKey | None:
    if row.private_key == signing_keys.ERASED:
        return None
    try:
        return unseal(row.private_key, secrets)
    except Unreadable:
        log.warning(
            "key %s cannot sign: it cannot be decrypted with SECRET_KEY or SECRET_KEY_FALLBACKS",
            row.kid,
        )
        return None
