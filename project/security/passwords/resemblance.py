"""When a password is little more than a name that everybody knows.

NIST SP 800-63B-4, section 3.1.1.2, has passwords refused that are the name of the service or of the
user, or derived from them. Derived is what guessing programs try by rule: other case, reversed,
digits and signs for letters, separators between, a number or a few letters before or behind.
"""

import re
from collections.abc import Iterable

from project.security import identifiers
from project.security.normalization import MAX_EXPANSION
from project.security.passwords.hashing import MAX_PASSWORD

LOOKALIKES = str.maketrans("01l!34@5$7", "oiiieaasst")
"""What is read as one letter; `1` may stand for two, so those two are one."""
SIGNS = "!@$"
"""The lookalikes that may also be mere punctuation."""
MIN_NAME = 3
"""Characters; a shorter name is in too many words to say anything."""
MIN_LETTERS = 4
"""Letters beside the name which are a word of their own: three can be tried in seconds."""
MAX_DIGITS = 8
"""Digits beside the name which are still a year, a date or a row of keys."""


def resembles(password: str, names: Iterable[str]) -> bool:
    """Tell whether a normalized password is one of these names in thin disguise.

    A longer one that merely contains a name is none.
    """
    names = [identifiers.caseless(name, identifiers.MAX_EMAIL) for name in names]
    password = identifiers.caseless(password, MAX_PASSWORD * MAX_EXPANSION)
    # A name may be made of signs alone, of which nothing is left below.
    return password in names or any(
        _is_little_more(_letters(password, signs), [_letters(name, signs) for name in names])
        for signs in ("", SIGNS)
    )


def _letters(text: str, signs: str) -> str:
    """Return the text without separators: its letters, its digits and these signs."""
    return "".join(character for character in text if character.isalnum() or character in signs)


def _is_little_more(password: str, names: list[str]) -> bool:
    rest = _without(password, names)
    letters = sum(character.isalpha() for character in rest)
    digits = sum(character.isdigit() for character in rest)
    return rest != password and letters < MIN_LETTERS and digits <= MAX_DIGITS


def _without(password: str, names: list[str]) -> str:
    """Return the password with blanks for every name in it, forwards and backwards."""
    disguised = [name.translate(LOOKALIKES) for name in names if len(name) >= MIN_NAME]
    forms = sorted({*disguised, *(name[::-1] for name in disguised)}, key=len, reverse=True)
    rest = list(password)
    for found in re.finditer("|".join(map(re.escape, forms)), password.translate(LOOKALIKES)):
        rest[found.start() : found.end()] = " " * len(found[0])
    return "".join(rest)
