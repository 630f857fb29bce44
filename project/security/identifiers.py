"""When two usernames, or two e-mail addresses, are the same one.

Both are kept as typed; what must be unique is their key, which knows neither case nor Unicode form
(UAX #15, normalization form KC).
"""

import unicodedata
from string import ascii_lowercase, ascii_uppercase
from urllib.parse import quote

from project.security.normalization import MAX_EXPANSION, normalize

MAX_USERNAME = 128
MAX_EMAIL = 254
"""Characters of a name that an account can have; a longer one belongs to none."""

# Control, format, private use, surrogate and unassigned (Unicode, section 4.5).
UNSEEN_CATEGORIES = frozenset({"Cc", "Cf", "Co", "Cs", "Cn"})

# Printable ASCII but the percent sign.
PLAIN = "".join(chr(code) for code in range(0x20, 0x7F) if chr(code) != "%")

_LOWER_ASCII = str.maketrans(ascii_uppercase, ascii_lowercase)


def username_key(username: str) -> str:
    """Return what makes this username unique: its compatibility caseless form.

    Folding can undo a normalization, so each is done twice (The Unicode Standard, section 3.13,
    definition D146).
    """
    return caseless(username, MAX_USERNAME)


def caseless(text: str, longest: int) -> str:
    """Return the compatibility caseless form of a text that has up to `longest` characters."""
    folded = normalize("NFD", text, longest).casefold()
    expanded = longest * MAX_EXPANSION
    return normalize("NFKC", normalize("NFKC", folded, expanded).casefold(), expanded)


def email_key(email: str) -> str:
    """Return what makes this address unique.

    Beyond ASCII the case stays: whether two such mailboxes are one is known to their host alone.
    """
    return normalize("NFKC", email, MAX_EMAIL).translate(_LOWER_ASCII)


def is_visible(text: str) -> bool:
    """Tell whether every character can be seen, so that no two names look alike by a hidden one."""
    return all(unicodedata.category(character) not in UNSEEN_CATEGORIES for character in text)


def field_value(text: str) -> str:
    """Return a name as the value of a header field (RFC 9110, section 5.5).

    What is not ASCII, and the percent sign, is percent-encoded UTF-8 (RFC 3986, section 2.1).
    """
    return quote(text, safe=PLAIN)
