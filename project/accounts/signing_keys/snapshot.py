"""The keys as they stood at one moment: which signs, and whether it is time for the next."""

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
    """A key of the database, ready for use; None where its row is damaged."""

    row: KeyRow
    key: Key | None

    def signing(self) -> Key | None:
        """Return the key where this process could sign with it, at some time."""
        able = self.key is not None and self.key.signing is not None
        return self.key if able and self.row.retired_at is None else None

    def signs_at(self, moment: datetime) -> bool:
        """Tell whether it is this key's turn to sign at this time."""
        until = self.row.signs_until
        return self.row.signs_at <= moment and (until is None or moment < until)


@dataclass(frozen=True, slots=True)
class KeySnapshot:
    """All keys that a token may be signed by, the first and the last ever made; in that order."""

    held: Sequence[LoadedKey]

    @property
    def last_number(self) -> int:
        """The number of the key that was made last; 0 where there is none."""
        return self.held[-1].row.id if self.held else 0

    @property
    def first(self) -> KeyRow | None:
        """The first key ever made: from then on keys sign, and the secret does not."""
        return self.held[0].row if self.held else None

    def newest(self, algorithm: Algorithm) -> LoadedKey | None:
        """Return the last key of this algorithm that could sign, now or later."""
        able = [one for one in self._able() if one.row.algorithm == algorithm]
        return able[-1] if able else None

    def signer(self, now: datetime, preferred: Algorithm | None = None) -> LoadedKey | None:
        """Return the last key whose turn it is, of the preferred algorithm if there is one."""
        ready = [one for one in self._able() if one.signs_at(now)]
        ready.sort(key=lambda one: one.row.algorithm == preferred)
        return ready[-1] if ready else None

    def is_successor_due(self, algorithm: Algorithm, age: timedelta, now: datetime) -> bool:
        """Tell whether no key of the algorithm is there, none signs or will, or none is young.

        Processes that disagree on the algorithm sign with whatever key came last: they must not
        outdo each other. No age is no limit.
        """
        newest = self.newest(algorithm)
        if newest is None or (self.signer(now) is None and newest.row.signs_at <= now):
            return True
        return bool(age) and now - self._able()[-1].row.created_at >= age

    def _able(self) -> list[LoadedKey]:
        return [one for one in self.held if one.signing() is not None]


def load_key(row: KeyRow, secrets: Sequence[str]) -> Key | None:
    """Return the key of a row; one that is damaged, or of a version to come, is None and logged."""
    try:
        algorithm = Algorithm(row.algorithm)
        public = load_public_key(json.loads(row.jwk), algorithm, row.kid)
    except (Unreadable, ValueError) as error:
        log.error("key %s cannot be used: %s", row.kid, error)
        return None
    return Key(algorithm, public, _private_part(row, secrets), row.kid)


def _private_part(row: KeyRow, secrets: Sequence[str]) -> PrivateKey | None:
    if row.private_key == signing_keys.ERASED:
        return None
    try:
        return unseal(row.private_key, secrets)
    except Unreadable:
        log.warning("key %s cannot sign: none of our secrets opens it", row.kid)
        return None
