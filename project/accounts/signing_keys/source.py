"""A cache of the signing keys in each process, so that tokens are verified without a query.

To sign, the keys are always loaded from the database. To verify, they are reloaded only for a `kid`
that is not cached, which may be invented:

- A token is genuine if its id proves that this service issued it. Each `kid` of a genuine token can
  cause a reload every ten seconds. So every process accepts the first token of a new key at once.
- All other tokens together can cause a reload every ten seconds.

The statement that loads the session also reads whether the key is retired.
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
"""Minimum time between two reloads for one `kid`, or for all tokens that are not genuine."""


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
        self._loads_started = 0
        self._snapshot_number = 0
        self._reloading: Future[None] | None = None
        self._reloaded_at: datetime | None = None
        self._missed_at: dict[str, datetime] = {}
        """When a reload last failed to find the `kid` of a genuine token."""

    @property
    def is_symmetric(self) -> bool:
        """Whether SECRET_KEY itself signs access tokens (HS256)."""
        return self._algorithm is Algorithm.HS256

    def signing_key(self, purpose: Purpose = Purpose.ACCESS) -> Key:
        """Return the key that signs tokens for this purpose now.

        Creates a key for access tokens if one is due. Call this before the operation's transaction,
        since it may write. Raises Unavailable if there is no key that can sign.
        """
        if purpose is Purpose.REFRESH:
            return self._refresh_keys[0]
        if self.is_symmetric:
            return self._symmetric[0]
        return self._choose_signer(self.load_or_rotate(), utcnow())

    def load_or_rotate(self) -> KeySnapshot:
        """Load the keys, and create the next one if it is due; this may write."""
        snapshot, now = self.load(), utcnow()
        if self.is_symmetric:
            return snapshot
        if snapshot.is_successor_due(self._algorithm, self._rotation_age, now):
            signs_at = now + signing_keys.publication_lead() if snapshot.find_signer(now) else now
            signing_keys.add(self._algorithm, snapshot.last_number + 1, signs_at, SERVICE)
            snapshot = self.load()
        return snapshot

    def rotate(self, signs_at: datetime, actor: Actor = SERVICE) -> str | None:
        """Add a key that signs from `signs_at` on; return its `kid`, None if another came first."""
        return signing_keys.add(self._algorithm, self.load().last_number + 1, signs_at, actor)

    def new_token_id(self, session_id: UUID, key: Key) -> UUID:
        """Return a new token id; with a key pair it proves that this service issued the token."""
        return uuid4() if key.key_id is None else self._token_ids.issue(key.key_id, session_id)

    def verifying_keys(self, key_id: str | None, purpose: Purpose) -> Sequence[Key]:
        """Return the keys that may have signed a token with this purpose and `kid`.

        Call this only if the token's signature was verified before: its `kid` counts as genuine.
        """
        if key_id is None:
            return self._keys_from_secrets(purpose)
        return self._cached(key_id) or self._reload_and_find(key_id, is_genuine=True)

    def keys_of(self, claims: Claims) -> Sequence[Key]:
        """Return the keys that may have signed an unverified token with these claims."""
        key_id = claims.key_id
        if key_id is None:
            return self._keys_from_secrets(claims.purpose)
        if cached := self._cached(key_id):
            return cached
        is_genuine = self._token_ids.is_authentic(claims.token_id, key_id, claims.session_id)
        return self._reload_and_find(key_id, is_genuine)

    def _keys_from_secrets(self, purpose: Purpose) -> Sequence[Key]:
        """Return the keys derived from the secrets. Old refresh tokens are signed by SECRET_KEY."""
        symmetric = self._symmetric if self._is_secret_accepted() else []
        return symmetric if purpose is Purpose.ACCESS else [*self._refresh_keys, *symmetric]

    def signer_id(self) -> str | None:
        """Return the `kid` of the current signing key, or None; this creates no key."""
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
        """Return whether a valid token signed by SECRET_KEY can still exist."""
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

        If no session is older than the key, no such token can be accepted. The result never changes
        and is cached.
        """
        known = self._secret_signed_before
        if known is None or known[0] != first.kid:
            known = first.kid, signing_keys.has_session_before(first.created_at)
            self._secret_signed_before = known
        return known[1]

    def _cached(self, key_id: str) -> list[Key]:
        """Return the valid cached keys with this `kid`: one or none."""
        loaded, now = self._snapshot.keys if self._snapshot else (), utcnow()
        valid = (each.key for each in loaded if each.row.kid == key_id and is_valid(each.row, now))
        return [key for key in valid if key is not None]

    def _reload_and_find(self, key_id: str, is_genuine: bool) -> list[Key]:
        """Reload the keys if that is due; return the key with this `kid`, if found.

        For a genuine token a second reload may follow, since a reload that was already in progress
        may have started before the key existed.
        """
        for _ in range(2 if is_genuine else 1):
            self._reload_or_wait(key_id, is_genuine)
            if found := self._cached(key_id):
                return found
        return []

    def _reload_or_wait(self, key_id: str, is_genuine: bool) -> None:
        """Wait for a reload in progress, or reload the keys if that is due.

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
        """Load the keys; the result of an older load never replaces that of a newer one."""
        with self._lock:
            self._loads_started += 1
            number = self._loads_started
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
