"""Recognition of passwords that are derived from the user's or the service's name.

NIST SP 800-63B-4, section 3.1.1.2, requires that they are rejected. Guessing programs derive
passwords from a name by rules: another case, reversal, digits and signs instead of letters,
separators, and a number or a few letters before or after it.
"""

import re
from collections.abc import Iterable

from project.security import identifiers
from project.security.normalization import MAX_EXPANSION
from project.security.passwords.hashing import MAX_PASSWORD

LOOKALIKES = str.maketrans("01l!34@5$7", "oiiieaasst")
"""Maps characters to the letter that they replace; l becomes i, since `1` replaces both."""
SIGNS = "!@$"
"""Lookalikes that may also be punctuation."""
MIN_NAME = 3
"""Minimum length of a name; shorter ones occur in too many words."""
MIN_LETTERS = 4
"""A password with this many letters besides the name is accepted; three are quickly guessed."""
MAX_DIGITS = 8
"""A password with more digits besides the name is accepted; eight are usually a date."""


def resembles(password: str, names: Iterable[str]) -> bool:
    """Return whether a normalized password is one of these names in disguise.

    A longer password that merely contains a name is not.
    """
    names = [identifiers.caseless(name, identifiers.MAX_EMAIL) for name in names]
    password = identifiers.caseless(password, MAX_PASSWORD * MAX_EXPANSION)
    # A name that consists of signs alone is empty below.
    return password in names or any(
        _is_mostly_name(_letters(password, signs), [_letters(name, signs) for name in names])
        for signs in ("", SIGNS)
    )


def _letters(text: str, signs: str) -> str:
    """Return the letters and digits of a text, and these signs."""
    return "".join(character for character in text if character.isalnum() or character in signs)


def _is_mostly_name(password: str, names: list[str]) -> bool:
    rest = _without(password, names)
    letters = sum(character.isalpha() for character in rest)
    digits = sum(character.isdigit() for character in rest)
    return rest != password and letters < MIN_LETTERS and digits <= MAX_DIGITS


def _without(password: str, names: list[str]) -> str:
    """Return the password with spaces instead of every name in it, forwards or reversed."""
    disguised = [name.translate(LOOKALIKES) for name in names if len(name) >= MIN_NAME]
    forms = sorted({*disguised, *(name[::-1] for name in disguised)}, key=len, reverse=True)
    rest = list(password)
    for found in re.finditer("|".join(map(re.escape, forms)), password.translate(LOOKALIKES)):
        rest[found.start() : found.end()] = " " * len(found[0])
    return "".join(rest)
