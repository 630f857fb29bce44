"""A cache of the signing keys in each process, so that tokens are verified without a query.

Signing reads the keys from the database first. Verifying reads them only for a `kid` that is not
cached. An unknown `kid`, which may be invented, triggers a read at most once in ten seconds for all
tokens. If the token id proves that this service issued the token, its `kid` triggers a read at
once, and not again for ten seconds; so every process knows the successor of a retired key as soon
as it receives a token of it. Whether a key is retired is read with the session, in one statement.
"""

import json
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from flask import Flask

from project.accounts import signing_keys
from project.accounts.actors import SERVICE, Actor
from project.accounts.signing_keys import KeyRow, is_valid
from project.accounts.signing_keys.snapshot import KeySnapshot, LoadedKey, load_key
from project.clock import utcnow
from project.errors import Unavailable
from project.extensions import add_component, get_component
from project.security.signing_keys import Algorithm, Key, from_secret, refresh_key_from_secret
from project.security.tokens import Claims, KeySource, Purpose, TokenDecoder
from project.security.tokens.ids import TokenIds

RELOAD_INTERVAL = timedelta(seconds=10)
"""Time between two reloads for unknown keys, counted apart for each `kid` of a genuine token."""


class SigningKeySource:
    """The cached signing keys of one app in this process."""

    def __init__(self, app: Flask) -> None:
        self._algorithm = Algorithm(app.config["TOKEN_ALGORITHM"])
        self._rotation_age = timedelta(days=app.config["KEY_ROTATION_DAYS"])
        self._secrets: list[str] = [app.config["SECRET_KEY"], *app.config["SECRET_KEY_FALLBACKS"]]
        self._symmetric = [from_secret(secret) for secret in self._secrets]
        self._refresh_keys = [refresh_key_from_secret(secret) for secret in self._secrets]
        self._token_ids = TokenIds(self._secrets)
        self._secret_signed_before: tuple[str, bool] | None = None
        self._snapshot: KeySnapshot | None = None
        self._lock = threading.Lock()
        self._loads_begun = 0
        self._snapshot_number = 0
        self._reloading: Future[None] | None = None
        self._reloaded_at: datetime | None = None
        self._missed_at: dict[str, datetime] = {}
        """When the `kid` of a genuine token was not found; as many as keys were ever created."""

    @property
    def is_symmetric(self) -> bool:
        """Whether SECRET_KEY itself signs access tokens (HS256)."""
        return self._algorithm is Algorithm.HS256

    def signing_key(self, purpose: Purpose = Purpose.ACCESS) -> Key:
        """Return the key that signs tokens for this purpose now.

        A key for access tokens is created if one is due. Call this before the operation's
        transaction, since it may write. Raises Unavailable if no key is able to sign.
        """
        if purpose is Purpose.REFRESH:
            return self._refresh_keys[0]
        if self.is_symmetric:
            return self._symmetric[0]
        return self._choose_signer(self.load_or_rotate(), utcnow())

    def load_or_rotate(self) -> KeySnapshot:
        """Load the keys, and create a new one if it is due; this may write."""
        snapshot, now = self.load(), utcnow()
        if self.is_symmetric:
            return snapshot
        if snapshot.is_successor_due(self._algorithm, self._rotation_age, now):
            signs_at = now + signing_keys.publication_lead() if snapshot.find_signer(now) else now
            signing_keys.add(self._algorithm, snapshot.last_number + 1, signs_at, SERVICE)
            snapshot = self.load()
        return snapshot

    def rotate(self, signs_at: datetime, actor: Actor = SERVICE) -> str | None:
        """Add a key that signs from `signs_at` on; return its `kid`, None if another did."""
        return signing_keys.add(self._algorithm, self.load().last_number + 1, signs_at, actor)

    def new_token_id(self, session_id: UUID, key: Key) -> UUID:
        """Return an id for an access token of this key; for a key pair the id proves its origin."""
        return uuid4() if key.key_id is None else self._token_ids.issue(key.key_id, session_id)

    def verifying_keys(self, key_id: str | None, purpose: Purpose) -> Sequence[Key]:
        """Return the keys that may have signed a token with this purpose and `kid`.

        The token's signature must have been verified before: its `kid` counts as genuine.
        """
        if key_id is None:
            return self._keys_from_secrets(purpose)
        return self._cached(key_id) or self._reload_once(key_id, is_genuine=True)

    def keys_of(self, claims: Claims) -> Sequence[Key]:
        """Return the keys that may have signed an unverified token with these claims."""
        key_id = claims.key_id
        if key_id is None:
            return self._keys_from_secrets(claims.purpose)
        if cached := self._cached(key_id):
            return cached
        is_genuine = self._token_ids.is_authentic(claims.token_id, key_id, claims.session_id)
        return self._reload_once(key_id, is_genuine)

    def _keys_from_secrets(self, purpose: Purpose) -> Sequence[Key]:
        """Return the keys without `kid`; earlier versions signed refresh tokens with SECRET_KEY."""
        symmetric = self._symmetric if self._is_secret_accepted() else []
        return symmetric if purpose is Purpose.ACCESS else [*self._refresh_keys, *symmetric]

    def signer_id(self) -> str | None:
        """Return the `kid` of the current signing key, None without one; create none."""
        signer = self._find_signer(self.load(), utcnow())
        return None if self.is_symmetric or signer is None else signer.row.kid

    def _find_signer(self, snapshot: KeySnapshot, now: datetime) -> LoadedKey | None:
        found = snapshot.find_signer(now, self._algorithm)
        return found or snapshot.find_newest(self._algorithm)

    def _choose_signer(self, snapshot: KeySnapshot, now: datetime) -> Key:
        signer = self._find_signer(snapshot, now)
        key = signer.signing_key() if signer else None
        if key is None:
            raise Unavailable
        return key

    def _is_secret_accepted(self) -> bool:
        """Return whether tokens signed by SECRET_KEY are accepted: until the last has expired."""
        if self.is_symmetric:
            return True
        first = (self._snapshot or self.load()).first
        if first is None:
            return True
        ceased_at = first.signs_at + signing_keys.publication_lead()
        last_expiry = ceased_at + signing_keys.max_token_lifetime()
        return utcnow() < last_expiry and self._has_secret_signed(first)

    def _has_secret_signed(self, first: KeyRow) -> bool:
        """Return whether SECRET_KEY may have signed a token before the first key was created.

        Without a session that old there is no such token that could still be accepted. The result
        is cached, since it does not change.
        """
        known = self._secret_signed_before
        if known is None or known[0] != first.kid:
            known = first.kid, signing_keys.has_session_before(first.created_at)
            self._secret_signed_before = known
        return known[1]

    def _cached(self, key_id: str) -> list[Key]:
        """Return the cached key with this `kid` if it is valid: a list of one key or none."""
        loaded, now = self._snapshot.keys if self._snapshot else (), utcnow()
        valid = (each.key for each in loaded if each.row.kid == key_id and is_valid(each.row, now))
        return [key for key in valid if key is not None]

    def _reload_once(self, key_id: str, is_genuine: bool) -> list[Key]:
        """Return the key with this `kid` after a reload, unless the last one was too recent.

        A reload in progress may have begun before the key existed. For a genuine token a second one
        follows.
        """
        for _ in range(2 if is_genuine else 1):
            self._reload_or_wait(key_id, is_genuine)
            if found := self._cached(key_id):
                return found
        return []

    def _reload_or_wait(self, key_id: str, is_genuine: bool) -> None:
        """Reload the keys if that is due, or wait for a reload in progress.

        The database is read outside the lock: otherwise, during an outage, each thread would wait
        for the time-outs of all threads before it.
        """
        with self._lock:
            reloading, is_first = self._reloading, False
            if reloading is None and self._may_reload(key_id, is_genuine):
                reloading, is_first = Future[None](), True
                self._reloading = reloading
        if is_first and reloading is not None:
            self._reload(reloading)
            if is_genuine and not self._cached(key_id):
                self._missed_at[key_id] = utcnow()
        elif reloading is not None:
            reloading.result()

    def _may_reload(self, key_id: str, is_genuine: bool) -> bool:
        last = self._missed_at.get(key_id) if is_genuine else self._reloaded_at
        # abs(): a clock that is set back must not block reloads.
        return last is None or abs(utcnow() - last) >= RELOAD_INTERVAL

    def _reload(self, reloading: Future[None]) -> None:
        try:
            self.load()
            self._reloaded_at = utcnow()
            reloading.set_result(None)
        finally:
            self._reloading = None
            if not reloading.done():
                reloading.set_exception(Unavailable())

    def load(self) -> KeySnapshot:
        """Load the keys from the database; an older result never replaces a newer one."""
        with self._lock:
            self._loads_begun += 1
            number = self._loads_begun
        snapshot = KeySnapshot([self._load_key(row) for row in signing_keys.list_unexpired()])
        with self._lock:
            if number > self._snapshot_number:
                self._snapshot_number, self._snapshot = number, snapshot
        return snapshot

    def _load_key(self, row: KeyRow) -> LoadedKey:
        loaded = self._snapshot.keys if self._snapshot else ()
        same = (each for each in loaded if each.row.kid == row.kid and each.row.jwk == row.jwk)
        found = next(same, None)
        return LoadedKey(row, found.key if found else load_key(row, self._secrets))


def init_app(app: Flask) -> None:
    """Create the app's `SigningKeySource` and `TokenDecoder`."""
    keys = SigningKeySource(app)
    add_component(app, keys)
    add_component(app, keys, KeySource)
    add_component(app, TokenDecoder(keys, app.config["TOKEN_ISSUER"]))


def current() -> SigningKeySource:
    """Return the current app's `SigningKeySource`."""
    return get_component(SigningKeySource)


def list_published(*, may_write: bool = True) -> list[dict[str, str]]:
    """Return the public keys as JWKs, newest first; create a key that is due if `may_write`."""
    snapshot, now = current().load_or_rotate() if may_write else current().load(), utcnow()
    valid = (each for each in reversed(snapshot.keys) if each.key and is_valid(each.row, now))
    return [json.loads(each.row.jwk) for each in valid]
