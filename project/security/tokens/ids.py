"""Token ids that prove, before any key is looked up, that this installation made the token.

A token names its key by `kid`, and anybody can invent a `kid`. The `jti` of an access token that a
key pair signs is therefore ten random bytes and six bytes of a MAC over them, the `kid` and the
`sid`. Only this service can make or check one; to everybody else it is an opaque id.
"""

import hmac
from collections.abc import Sequence
from secrets import token_bytes
from uuid import UUID

from project.security.signing_keys import TOKEN_IDS, derive

NONCE_BYTES = 10
MAC_BYTES = 6


class TokenIds:
    """Makes and checks token ids; the first secret makes them, all of them are accepted."""

    def __init__(self, secrets: Sequence[str]) -> None:
        self._keys = [derive(secret, TOKEN_IDS) for secret in secrets]

    def make(self, key_id: str, session_id: UUID) -> UUID:
        """Return a new id for a token of this session, signed by this key."""
        nonce = token_bytes(NONCE_BYTES)
        return UUID(bytes=nonce + _mac(self._keys[0], nonce, key_id, session_id))

    def is_ours(self, token_id: UUID, key_id: str, session_id: UUID) -> bool:
        """Return whether the id was made here, for this key and session."""
        nonce, mac = token_id.bytes[:NONCE_BYTES], token_id.bytes[NONCE_BYTES:]
        made = (_mac(key, nonce, key_id, session_id) for key in self._keys)
        return any(hmac.compare_digest(mac, each) for each in made)


def _mac(key: bytes, nonce: bytes, key_id: str, session_id: UUID) -> bytes:
    return hmac.digest(key, nonce + session_id.bytes + key_id.encode(), "sha256")[:MAC_BYTES]
