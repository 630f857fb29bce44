"""When two usernames, or two e-mail addresses, are the same one.

Both are kept as typed; what must be unique is their key, which knows neither case nor Unicode form
(UAX #15, normalization form KC).
"""

from string import ascii_lowercase, ascii_uppercase
from urllib.parse import quote

import idna

from project.security import invisible
from project.security.normalization import MAX_EXPANSION, normalize

MAX_USERNAME = 128
MAX_EMAIL = 254
"""Characters of a name that an account can have; a longer one belongs to none."""

MAX_DOMAIN = 253
"""Characters (RFC 1035, section 2.3.4, without the last dot); a longer one is not encoded."""

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

    The domain is compared by its A-labels (RFC 5890, section 2.3.2.1). Beyond ASCII the case of the
    mailbox stays: whether two such mailboxes are one is known to their host alone.
    """
    if email.isascii():
        return email.translate(_LOWER_ASCII)
    compatible = normalize("NFKC", email, MAX_EMAIL).translate(_LOWER_ASCII)
    mailbox, at, domain = compatible.rpartition("@")
    return mailbox + at + (_ascii_domain(domain) if at else domain)


def is_visible(text: str) -> bool:
    """Return whether no character is invisible: two names must not differ by such a one alone."""
    return not invisible.hides(text)


def field_value(text: str) -> str:
    """Return a name as the value of a header field (RFC 9110, section 5.5).

    What is not ASCII, and the percent sign, is percent-encoded UTF-8 (RFC 3986, section 2.1).
    """
    return quote(text, safe=PLAIN)


def _ascii_domain(domain: str) -> str:
    """Return an internationalized domain in its ASCII form; one that has none stays as it is."""
    if domain.isascii() or len(domain) > MAX_DOMAIN:
        return domain
    try:
        return idna.encode(domain, uts46=True).decode("ascii")
    except UnicodeError:
        return domain
