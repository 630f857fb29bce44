"""Whether a secret of an installation can be guessed.

It cannot be proved that a secret is random. These checks find what people write instead of one:
placeholders, words, sequences of the keyboard, and repetition. Random bytes in hexadecimal, Base64
or any other alphabet of sixteen characters or more pass.
"""

import re
from collections.abc import Callable

MIN_BYTES = 32
"""A key for HMAC-SHA-256 has at least the size of the hash (RFC 7518, section 3.2)."""

MIN_DISTINCT_CHARACTERS = 8

PLACEHOLDERS = (
    "change",
    "secret",
    "precious",
    "password",
    "example",
    "default",
    "insecure",
    "your",
)

QUOTES = "\"'`"

ROWS = (
    "abcdefghijklmnopqrstuvwxyz",
    "01234567890",
    "qwertyuiop",
    "asdfghjkl",
    "zxcvbnm",
)
NEIGHBOURS = {
    row[i : i + 2] for line in ROWS for row in (line, line[::-1]) for i in range(len(row))
}
MAX_NEIGHBOURS = 0.6
"""The share of pairs that may be neighbours on a row, or twice the same; random ones are 0.2."""

MIN_DISTINCT_TRIGRAMS = 0.6
"""The share of triples of characters that must differ from all others; random ones are near 1."""

ENGLISH = (
    "th he in er an re on at en nd ti es or te of ed is it al ar st to nt ng se ha as ou io le ve "
    "co me de hi ri ro ic ne ea ra ce li ll be ma si om ur ho sh la el"
)
"""The pairs of letters that make up half of English text."""
MAX_ENGLISH = 0.35
"""The share of pairs of letters that may be among them; random ones are 0.08."""

MIN_WORDS = 4


def weakness(secret: str | None) -> str | None:
    """Return what makes a secret guessable, or None."""
    if not secret:
        return "is not set"
    found = (text for is_weak, text in CHECKS if is_weak(secret))
    return next(found, None)


def _is_quoted(secret: str) -> bool:
    return secret[0] in QUOTES or secret[-1] in QUOTES


def _is_short(secret: str) -> bool:
    return len(secret.encode()) < MIN_BYTES


def _is_placeholder(secret: str) -> bool:
    return any(word in secret.lower() for word in PLACEHOLDERS)


def _repeats(secret: str) -> bool:
    trigrams = [secret[i : i + 3] for i in range(len(secret) - 2)]
    few = len(set(secret)) < MIN_DISTINCT_CHARACTERS
    return few or len(set(trigrams)) < MIN_DISTINCT_TRIGRAMS * len(trigrams)


def _is_sequence(secret: str) -> bool:
    letters = secret.lower()
    pairs = [letters[i : i + 2] for i in range(len(letters) - 1)]
    neighbours = [pair for pair in pairs if pair in NEIGHBOURS or pair[0] == pair[1]]
    return len(neighbours) > MAX_NEIGHBOURS * len(pairs)


def _is_text(secret: str) -> bool:
    words = re.split(r"[\s_.,;:-]+", secret)
    if re.search(r"\s", secret) or (len(words) >= MIN_WORDS and all(map(str.isalpha, words))):
        return True
    if re.fullmatch(rf"(?:[A-Z][a-z]+){{{MIN_WORDS},}}", secret):
        return True
    pairs = re.findall(r"(?=([a-z]{2}))", secret.lower())
    english = [pair for pair in pairs if pair in ENGLISH]
    return 2 * len(pairs) > len(secret) and len(english) > MAX_ENGLISH * len(pairs)


CHECKS: tuple[tuple[Callable[[str], bool], str], ...] = (
    (_is_quoted, "is still in its quotation marks"),
    (_is_short, f"is shorter than {MIN_BYTES} bytes"),
    (_is_placeholder, "looks like a placeholder that somebody published"),
    (_repeats, "repeats itself"),
    (_is_sequence, "is a sequence of the alphabet or the keyboard"),
    (_is_text, "is made of words"),
)
"""What is wrong with a secret, in the order in which it is reported."""
