"""One-time codes, link tokens and request ids, derived from the id of a one-time token.

Nothing of them is stored: each is an HMAC of the purpose and the id, under a key of its own that is
derived from a secret of the service. A code has 8 letters of RFC 8628's alphabet (34.6 bits), so
its attempts have to be counted; a link token and a request id hold the id and 128 bits.
"""

import base64
import re
from collections.abc import Sequence
from hmac import compare_digest
from uuid import UUID

from project.security.derivation import derive_key, mac

ALPHABET = "BCDFGHJKLMNPQRSTVWXZ"
CODE_LENGTH = 8
IGNORED = re.compile(r"[\s-]+")
FORM = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)
SIGNATURE_BYTES = 16

CODE = "users one-time code"
LINK = "users one-time link"
REQUEST = "users one-time request"


def code(secret: str, purpose: str, token_id: UUID) -> str:
    """Return the code of a token, as it is displayed: `WDJB-MJHT`."""
    number = int.from_bytes(_mac(secret, CODE, purpose, token_id))
    letters = ""
    for _ in range(CODE_LENGTH):
        number, place = divmod(number, len(ALPHABET))
        letters += ALPHABET[place]
    return f"{letters[:4]}-{letters[4:]}"


def is_code(typed: str, secrets: Sequence[str], purpose: str, token_id: UUID) -> bool:
    """Return whether this is the code of a token; case, blanks and dashes do not count."""
    letters = IGNORED.sub("", typed).upper().encode()
    derived = [code(secret, purpose, token_id).replace("-", "").encode() for secret in secrets]
    return any(compare_digest(letters, known) for known in derived)


def link_token(secret: str, purpose: str, token_id: UUID) -> str:
    """Return the token that is in the link to a page: 43 characters."""
    return _signed(secret, LINK, purpose, token_id)


def is_link_token(token: str, secrets: Sequence[str], purpose: str, token_id: UUID) -> bool:
    """Return whether this is the link token of a token, for this purpose."""
    return _is_signed(token, secrets, LINK, purpose, token_id)


def request_id(secret: str, purpose: str, token_id: UUID) -> str:
    """Return the id of the request that made a token; it cannot be computed from the mail."""
    return _signed(secret, REQUEST, purpose, token_id)


def is_request_id(text: str, secrets: Sequence[str], purpose: str, token_id: UUID) -> bool:
    """Return whether this is the id of the request that made a token, for this purpose."""
    return _is_signed(text, secrets, REQUEST, purpose, token_id)


def id_of(text: str) -> UUID | None:
    """Return the id that a link token or a request id holds; None for any other text."""
    if not FORM.fullmatch(text):
        return None
    return UUID(bytes=base64.urlsafe_b64decode(f"{text}=")[:16])


def _signed(secret: str, label: str, purpose: str, token_id: UUID) -> str:
    signature = _mac(secret, label, purpose, token_id)[:SIGNATURE_BYTES]
    return base64.urlsafe_b64encode(token_id.bytes + signature).decode().rstrip("=")


def _is_signed(text: str, secrets: Sequence[str], label: str, purpose: str, token_id: UUID) -> bool:
    # The text is compared and not what it decodes to, so every token has one spelling.
    derived = [_signed(secret, label, purpose, token_id) for secret in secrets]
    return any(compare_digest(text.encode(), known.encode()) for known in derived)


def _mac(secret: str, label: str, purpose: str, token_id: UUID) -> bytes:
    return mac(derive_key(secret, label), purpose.encode() + b"\0" + token_id.bytes)
