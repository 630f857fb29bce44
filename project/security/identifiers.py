"""Keys of usernames and e-mail addresses: two names with the same key are the same name.

Names are stored as typed. Their keys must be unique, and ignore case and Unicode form (UAX #15,
normalization form KC).
"""

from string import ascii_lowercase, ascii_uppercase
from urllib.parse import quote

import idna

from project.security import invisible
from project.security.normalization import MAX_EXPANSION, normalize

MAX_USERNAME = 128
MAX_EMAIL = 254
"""Maximum length in characters; no account has a longer name."""

MAX_DOMAIN = 253
"""Maximum length in characters (RFC 1035, section 2.3.4, without the last dot)."""

# Printable ASCII except the percent sign.
UNQUOTED = "".join(chr(code) for code in range(0x20, 0x7F) if chr(code) != "%")

_LOWER_ASCII = str.maketrans(ascii_uppercase, ascii_lowercase)


def username_key(username: str) -> str:
    """Return the unique key of a username: its compatibility caseless form."""
    return caseless(username, MAX_USERNAME)


def caseless(text: str, max_length: int) -> str:
    """Return the compatibility caseless form of a text of up to `max_length` characters.

    Case folding can undo a normalization, so both are done twice (The Unicode Standard, section
    3.13, definition D146).
    """
    folded = normalize("NFD", text, max_length).casefold()
    expanded = max_length * MAX_EXPANSION
    return normalize("NFKC", normalize("NFKC", folded, expanded).casefold(), expanded)


def email_key(email: str) -> str:
    """Return the unique key of an e-mail address.

    The key has the domain's A-labels (RFC 5890, section 2.3.2.1). The mailbox keeps the case of its
    non-ASCII letters: only its host knows whether two such mailboxes are the same.
    """
    if email.isascii():
        return email.translate(_LOWER_ASCII)
    compatible = normalize("NFKC", email, MAX_EMAIL).translate(_LOWER_ASCII)
    mailbox, at, domain = compatible.rpartition("@")
    return mailbox + at + (_ascii_domain(domain) if at else domain)


def is_visible(text: str) -> bool:
    """Return whether the text contains no invisible character."""
    return not invisible.contains_invisible(text)


def encode_header_value(text: str) -> str:
    """Return a name as the value of a header field (RFC 9110, section 5.5).

    Non-ASCII characters and the percent sign are percent-encoded (RFC 3986, section 2.1).
    """
    return quote(text, safe=UNQUOTED)


def _ascii_domain(domain: str) -> str:
    """Return the ASCII form of an internationalized domain, or the domain if it has none."""
    if domain.isascii() or len(domain) > MAX_DOMAIN:
        return domain
    try:
        return idna.encode(domain, uts46=True).decode("ascii")
    except UnicodeError:
        return domain
