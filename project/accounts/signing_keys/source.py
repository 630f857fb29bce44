"""The keys that a process has at hand, so that a token is checked without asking for its key.

Whoever signs looks at the database first; whoever verifies looks there only for a key that is not
at hand. A key id that anybody may have invented has the database read once in ten seconds, however
many are sent. One of a token whose id proves that it was made here has it read at once, and not
again for ten seconds: so the key that follows a retired one is known to every process when its
first token comes. That a key was retired is read with the session, in the same statement.
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
from project.accounts.signing_keys import KeyRow, is_good
from project.accounts.signing_keys.snapshot import KeySnapshot, LoadedKey, load_key
from project.clock import utcnow
from project.errors import Unavailable
from project.extensions import add_component, get_component
from project.security.signing_keys import Algorithm, Key, from_secret, refresh_key_from_secret
from project.security.tokens import Claims, KeySource, Purpose, TokenDecoder
from project.security.tokens.ids import TokenIds

LOOK_UP_INTERVAL = timedelta(seconds=10)
"""Between two looks for keys that are not at hand; for each that exists, between two of its own."""


class SigningKeySource:
    """The keys of one app in this process."""

    def __init__(self, app: Flask) -> None:
        self._algorithm = Algorithm(app.config["TOKEN_ALGORITHM"])
        self._rotation_age = timedelta(days=app.config["KEY_ROTATION_DAYS"])
        self._secrets: list[str] = [app.config["SECRET_KEY"], *app.config["SECRET_KEY_FALLBACKS"]]
        self._symmetric = [from_secret(secret) for secret in self._secrets]
        self._refresh = [refresh_key_from_secret(secret) for secret in self._secrets]
        self._token_ids = TokenIds(self._secrets)
        self._secret_signed_before: tuple[str, bool] | None = None
        self._ring: KeySnapshot | None = None
        self._lock = threading.Lock()
        self._loads = 0
        self._loaded = 0
        self._looking: Future[None] | None = None
        self._looked_at: datetime | None = None
        self._missed: dict[str, datetime] = {}
        """When a key of ours was looked for in vain: no more of them than were ever made."""

    @property
    def is_symmetric(self) -> bool:
        """Whether the secret itself signs."""
        return self._algorithm is Algorithm.HS256

    def signing_key(self, purpose: Purpose = Purpose.ACCESS) -> Key:
        """Return the key that signs tokens for this purpose now.

        That of access tokens is made where there is none, or where the newest is old: call this
        before the transaction whose outcome will be signed, since it may write. Raises Unavailable
        where the keys are removed meanwhile.
        """
        if purpose is Purpose.REFRESH:
            return self._refresh[0]
        return self._symmetric[0] if self.is_symmetric else self._chosen(self.prepared(), utcnow())

    def prepared(self) -> KeySnapshot:
        """Return the keys as they are, with a new one if that is due; it may write."""
        ring, now = self._load(), utcnow()
        if self.is_symmetric:
            return ring
        if ring.is_successor_due(self._algorithm, self._rotation_age, now):
            signs_at = now + signing_keys.lead() if ring.signer(now) else now
            signing_keys.add(self._algorithm, ring.last_number + 1, signs_at, SERVICE)
            ring = self._load()
        return ring

    def loaded(self) -> KeySnapshot:
        """Return the keys as they are."""
        return self._load()

    def rotate(self, signs_at: datetime, actor: Actor = SERVICE) -> str | None:
        """Make a key that signs from this moment on; return its id, None if another was faster."""
        return signing_keys.add(self._algorithm, self._load().last_number + 1, signs_at, actor)

    def new_token_id(self, session_id: UUID, key: Key) -> UUID:
        """Return an id for an access token of this key; that of a key pair proves its origin."""
        return uuid4() if key.key_id is None else self._token_ids.issue(key.key_id, session_id)

    def verifying_keys(self, key_id: str | None, purpose: Purpose) -> Sequence[Key]:
        """Return the keys that may have signed a token for this purpose with this `kid`, or none.

        Only of a token whose signature was verified before.
        """
        if key_id is None:
            return self._of_secrets(purpose)
        return self._at_hand(key_id) or self._looked_up(key_id, is_ours=True)

    def keys_of(self, claims: Claims) -> Sequence[Key]:
        """Return the keys that may have signed a token that claims this, not verified yet."""
        key_id = claims.key_id
        if key_id is None:
            return self._of_secrets(claims.purpose)
        if at_hand := self._at_hand(key_id):
            return at_hand
        is_ours = self._token_ids.is_authentic(claims.token_id, key_id, claims.session_id)
        return self._looked_up(key_id, is_ours)

    def _of_secrets(self, purpose: Purpose) -> Sequence[Key]:
        """Return the keys without a `kid`; refresh tokens were once signed as access tokens are."""
        symmetric = self._symmetric if self._is_secret_good() else []
        return symmetric if purpose is Purpose.ACCESS else [*self._refresh, *symmetric]

    def signer_id(self) -> str | None:
        """Return the id of the key that signs now, without making one; None where none can."""
        ring = self._load()
        signer = ring.signer(utcnow(), self._algorithm) or ring.newest(self._algorithm)
        return None if self.is_symmetric or signer is None else signer.row.kid

    def _chosen(self, ring: KeySnapshot, now: datetime) -> Key:
        signer = ring.signer(now, self._algorithm) or ring.newest(self._algorithm)
        key = signer.signing() if signer else None
        if key is None:
            raise Unavailable
        return key

    def _is_secret_good(self) -> bool:
        """Return whether tokens signed by the secret are accepted: until the last has expired."""
        if self.is_symmetric:
            return True
        first = (self._ring or self._load()).first
        if first is None:
            return True
        ceased_at = first.signs_at + signing_keys.lead()
        return utcnow() < ceased_at + signing_keys.longest_lifetime() and self._has_secret_signed(
            first
        )

    def _has_secret_signed(self, first: KeyRow) -> bool:
        """Return whether the secret can have signed a token before the first key was made.

        Where no session is as old as that, it has signed none that could still be accepted. Read
        once: no session becomes older than it is.
        """
        known = self._secret_signed_before
        if known is None or known[0] != first.kid:
            known = first.kid, signing_keys.has_session_before(first.created_at)
            self._secret_signed_before = known
        return known[1]

    def _at_hand(self, key_id: str) -> list[Key]:
        held, now = self._ring.held if self._ring else (), utcnow()
        good = (one.key for one in held if one.row.kid == key_id and is_good(one.row, now))
        return [key for key in good if key is not None]

    def _looked_up(self, key_id: str, is_ours: bool) -> list[Key]:
        """Return the key after a look into the database, unless that was done just now.

        A look that is under way may have begun before the key was there: for a token that was made
        here, the second look is its own.
        """
        for _ in range(2 if is_ours else 1):
            self._look_or_wait(key_id, is_ours)
            if found := self._at_hand(key_id):
                return found
        return []

    def _look_or_wait(self, key_id: str, is_ours: bool) -> None:
        """Look into the database where a look is due; who comes meanwhile waits along.

        The look itself is not under the lock: a database that is away would have all wait in turn.
        """
        with self._lock:
            looking, is_first = self._looking, False
            if looking is None and self._may_look(key_id, is_ours):
                looking, is_first = Future[None](), True
                self._looking = looking
        if is_first and looking is not None:
            self._look(looking)
            if is_ours and not self._at_hand(key_id):
                self._missed[key_id] = utcnow()
        elif looking is not None:
            looking.result()

    def _may_look(self, key_id: str, is_ours: bool) -> bool:
        last = self._missed.get(key_id) if is_ours else self._looked_at
        # Either way: a clock that is set back must not keep the door shut.
        return last is None or abs(utcnow() - last) >= LOOK_UP_INTERVAL

    def _look(self, looking: Future[None]) -> None:
        try:
            self._load()
            self._looked_at = utcnow()
            looking.set_result(None)
        finally:
            self._looking = None
            if not looking.done():
                looking.set_exception(Unavailable())

    def _load(self) -> KeySnapshot:
        """Read the keys; what was read earlier never takes the place of what was read later."""
        with self._lock:
            self._loads += 1
            number = self._loads
        ring = KeySnapshot([self._held(row) for row in signing_keys.kept()])
        with self._lock:
            if number > self._loaded:
                self._loaded, self._ring = number, ring
        return ring

    def _held(self, row: KeyRow) -> LoadedKey:
        known = self._ring.held if self._ring else ()
        same = (one for one in known if one.row.kid == row.kid and one.row.jwk == row.jwk)
        found = next(same, None)
        return LoadedKey(row, found.key if found else load_key(row, self._secrets))


def init_app(app: Flask) -> None:
    """Give the app its keys, and what decodes tokens by them."""
    keys = SigningKeySource(app)
    add_component(app, keys)
    add_component(app, keys, KeySource)
    add_component(app, TokenDecoder(keys, app.config["TOKEN_ISSUER"]))


def current() -> SigningKeySource:
    """Return the current app's keys."""
    return get_component(SigningKeySource)


def published(*, may_write: bool = True) -> list[dict[str, str]]:
    """Return the public keys as JWKs, the newest first; a key that is due is made, if it may be."""
    ring, now = current().prepared() if may_write else current().loaded(), utcnow()
    good = (one.row.jwk for one in reversed(ring.held) if one.key and is_good(one.row, now))
    return [json.loads(jwk) for jwk in good]
