"""Token ids that prove the origin of a token before its key is looked up.

A token names its key by `kid`, and anybody can invent a `kid`. The `jti` of an access token signed
by a key pair therefore has ten random bytes and six bytes of a MAC over them, the `kid` and the
`sid`. Only this service can create or check one; for everybody else it is an opaque id.
"""

import hmac
from collections.abc import Sequence
from secrets import token_bytes
from uuid import UUID

from project.security.derivation import derive_key

LABEL = "users: token ids"
NONCE_BYTES = 10
MAC_BYTES = 6


class TokenIds:
    """Issues token ids with the first secret, and accepts those of all secrets."""

    def __init__(self, secrets: Sequence[str]) -> None:
        self._keys = [derive_key(secret, LABEL) for secret in secrets]

    def issue(self, key_id: str, session_id: UUID) -> UUID:
        """Return a new id for a token of this session that this key signs."""
        nonce = token_bytes(NONCE_BYTES)
        return UUID(bytes=nonce + _mac(self._keys[0], nonce, key_id, session_id))

    def is_authentic(self, token_id: UUID, key_id: str, session_id: UUID) -> bool:
        """Return whether one of the secrets issued the id for this key and session."""
        nonce, mac = token_id.bytes[:NONCE_BYTES], token_id.bytes[NONCE_BYTES:]
        expected = (_mac(key, nonce, key_id, session_id) for key in self._keys)
        return any(hmac.compare_digest(mac, each) for each in expected)


def _mac(key: bytes, nonce: bytes, key_id: str, session_id: UUID) -> bytes:
    return hmac.digest(key, nonce + session_id.bytes + key_id.encode(), "sha256")[:MAC_BYTES]
