"""Checks for guessable values of SECRET_KEY.

No check can prove that a secret is random. These recognize typical guessable values: placeholders,
words, keyboard sequences and repetition. Random bytes in hexadecimal, Base64 or any other alphabet
of sixteen characters or more pass.
"""

import re
from collections.abc import Callable

MIN_BYTES = 32
"""An HMAC-SHA-256 key must be at least as long as the hash (RFC 7518, section 3.2)."""

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

SEQUENCES = (
    "abcdefghijklmnopqrstuvwxyz",
    "01234567890",
    "qwertyuiop",
    "asdfghjkl",
    "zxcvbnm",
)
NEIGHBOURS = {
    row[i : i + 2] for line in SEQUENCES for row in (line, line[::-1]) for i in range(len(row))
}
MAX_NEIGHBOURS = 0.6
"""Maximum share of pairs that are equal or neighbours in a sequence; 0.2 in random secrets."""

MIN_DISTINCT_TRIGRAMS = 0.6
"""Minimum share of distinct triples of characters; near 1 in random secrets."""

ENGLISH_PAIRS = (
    "th he in er an re on at en nd ti es or te of ed is it al ar st to nt ng se ha as ou io le ve "
    "co me de hi ri ro ic ne ea ra ce li ll be ma si om ur ho sh la el"
)
"""The most frequent pairs of letters: half of all pairs in English text."""
MAX_ENGLISH = 0.35
"""Maximum share of ENGLISH_PAIRS among a secret's pairs of letters; 0.08 in random secrets."""

MIN_WORDS = 4


def find_weakness(secret: str | None) -> str | None:
    """Return a secret's weakness as a predicate, like "is not set", or None if it has none."""
    if not secret:
        return "is not set"
    return next((predicate for is_weak, predicate in CHECKS if is_weak(secret)), None)


def _is_quoted(secret: str) -> bool:
    return secret[0] in QUOTES or secret[-1] in QUOTES


def _is_short(secret: str) -> bool:
    return len(secret.encode()) < MIN_BYTES


def _is_placeholder(secret: str) -> bool:
    return any(word in secret.lower() for word in PLACEHOLDERS)


def _repeats(secret: str) -> bool:
    trigrams = [secret[i : i + 3] for i in range(len(secret) - 2)]
    has_few_characters = len(set(secret)) < MIN_DISTINCT_CHARACTERS
    return has_few_characters or len(set(trigrams)) < MIN_DISTINCT_TRIGRAMS * len(trigrams)


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
    english = [pair for pair in pairs if pair in ENGLISH_PAIRS]
    return 2 * len(pairs) > len(secret) and len(english) > MAX_ENGLISH * len(pairs)


CHECKS: tuple[tuple[Callable[[str], bool], str], ...] = (
    (_is_quoted, "includes its quotation marks"),
    (_is_short, f"is shorter than {MIN_BYTES} bytes"),
    (_is_placeholder, "looks like a published placeholder"),
    (_repeats, "repeats itself"),
    (_is_sequence, "is a sequence of the alphabet or keyboard"),
    (_is_text, "is made of words"),
)
"""The checks in order, each with its predicate; the first match is reported."""
