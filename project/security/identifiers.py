"""When two usernames, or two e-mail addresses, are the same one.

Both are kept as typed; what must be unique is their key, which knows neither case nor Unicode form
(UAX #15, normalization form KC).
"""

import unicodedata
from string import ascii_lowercase, ascii_uppercase
from urllib.parse import quote

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
    folded = unicodedata.normalize("NFD", username).casefold()
    return _compatible(_compatible(folded).casefold())


def email_key(email: str) -> str:
    """Return what makes this address unique.

    Beyond ASCII the case stays: whether two such mailboxes are one is known to their host alone.
    """
    return _compatible(email).translate(_LOWER_ASCII)


def is_visible(text: str) -> bool:
    """Tell whether every character can be seen, so that no two names look alike by a hidden one."""
    return all(unicodedata.category(character) not in UNSEEN_CATEGORIES for character in text)


def field_value(text: str) -> str:
    """Return a name as the value of a header field (RFC 9110, section 5.5).

    What is not ASCII, and the percent sign, is percent-encoded UTF-8 (RFC 3986, section 2.1).
    """
    return quote(text, safe=PLAIN)


def _compatible(text: str) -> str:
    return unicodedata.normalize("NFKC", text)
