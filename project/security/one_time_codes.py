"""One-time codes, link tokens and request ids, derived from the id of a one-time token.

None of them is stored: each is an HMAC of the purpose and the id, with its own key derived from a
secret of the service. A code has 8 letters of RFC 8628's alphabet (34.6 bits), so attempts must be
counted; a link token and a request id consist of the id and 128 bits of the HMAC.
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
    """Return the code of a token in display form: `WDJB-MJHT`."""
    number = int.from_bytes(_mac(secret, CODE, purpose, token_id))
    letters = ""
    for _ in range(CODE_LENGTH):
        number, place = divmod(number, len(ALPHABET))
        letters += ALPHABET[place]
    return f"{letters[:4]}-{letters[4:]}"


def is_code(typed: str, secrets: Sequence[str], purpose: str, token_id: UUID) -> bool:
    """Return whether the code belongs to the token; case, blanks and dashes are ignored."""
    letters = IGNORED.sub("", typed).upper().encode()
    derived = [code(secret, purpose, token_id).replace("-", "").encode() for secret in secrets]
    return any(compare_digest(letters, known) for known in derived)


def link_token(secret: str, purpose: str, token_id: UUID) -> str:
    """Return the token for a link: 43 characters."""
    return _signed(secret, LINK, purpose, token_id)


def is_link_token(token: str, secrets: Sequence[str], purpose: str, token_id: UUID) -> bool:
    """Return whether the link token belongs to the one-time token and purpose."""
    return _is_signed(token, secrets, LINK, purpose, token_id)


def request_id(secret: str, purpose: str, token_id: UUID) -> str:
    """Return the request id of a token; it cannot be derived from the mail."""
    return _signed(secret, REQUEST, purpose, token_id)


def is_request_id(text: str, secrets: Sequence[str], purpose: str, token_id: UUID) -> bool:
    """Return whether the request id belongs to the one-time token and purpose."""
    return _is_signed(text, secrets, REQUEST, purpose, token_id)


def id_of(text: str) -> UUID | None:
    """Return the id within a link token or a request id; None for any other text."""
    if not FORM.fullmatch(text):
        return None
    return UUID(bytes=base64.urlsafe_b64decode(f"{text}=")[:16])


def _signed(secret: str, label: str, purpose: str, token_id: UUID) -> str:
    signature = _mac(secret, label, purpose, token_id)[:SIGNATURE_BYTES]
    return base64.urlsafe_b64encode(token_id.bytes + signature).decode().rstrip("=")


def _is_signed(text: str, secrets: Sequence[str], label: str, purpose: str, token_id: UUID) -> bool:
    # Compare the text, not the decoded bytes, so that every token has exactly one spelling.
    derived = [_signed(secret, label, purpose, token_id) for secret in secrets]
    return any(compare_digest(text.encode(), known.encode()) for known in derived)


def _mac(secret: str, label: str, purpose: str, token_id: UUID) -> bytes:
    return mac(derive_key(secret, label), purpose.encode() + b"\0" + token_id.bytes)
