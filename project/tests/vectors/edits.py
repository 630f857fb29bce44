"""What was done to a good token to make a vector of it, done to a token of ours.

Nothing here knows a vector by its number: the edit is read off the vector and the valid one that it
was made from.
"""

import json
import re

from project.security.signing_keys import Algorithm
from project.tests.support.forge import (
    ALPHABET,
    P256_ORDER,
    Good,
    halves,
    joined,
    opened,
    segment,
    signature,
)
from project.tests.vectors import Vector

EDGES = (0, 1, P256_ORDER - 1, P256_ORDER)
"""What r and s are where they are not a signature's at all."""
OVERFLOWS = (0, P256_ORDER, 2**256)
"""What is added to r and s where they are a signature's."""


def transposed(original: Vector, vector: Vector, good: Good) -> str:
    """Return the good token with the edit that makes the original the vector.

    It is signed anew where the vector was: then the signature is good and the rest must tell.
    """
    before, after = original.text.split("."), vector.text.split(".")
    if len(after) != 3:
        return _rearranged(before, vector.text, good)
    head = _edited_header(before[0], after[0], good.parts[0])
    payload = _edited_segment(before[1], after[1], good.parts[1])
    if after[:2] != before[:2] and vector.is_signed():
        made = signature(f"{head}.{payload}", good.key.algorithm.value, good.signing)
        return f"{head}.{payload}.{segment(made)}"
    return f"{head}.{payload}.{_edited_signature(before[2], after[2], good)}"


def _rearranged(before: list[str], text: str, good: Good) -> str:
    """Return the vector with our segments in place of its original's, wherever they are."""
    ours = dict(zip(before, good.parts, strict=True))
    pattern = "|".join(re.escape(part) for part in before)
    return re.sub(pattern, lambda found: ours[found[0]], text)


def _edited_header(before: str, after: str, ours: str) -> str:
    if before == after or not after or not _is_base64url(after):
        return _edited_segment(before, after, ours)
    old, new = json.loads(opened(before)), json.loads(opened(after))
    if old == new:
        return segment(_respaced(opened(after).decode(), opened(ours).decode()).encode())
    changed = {name: value for name, value in new.items() if old.get(name) != value}
    good = json.loads(opened(ours))
    if "kid" in changed and "kid" in good:
        changed["kid"] = _edited_text(old["kid"], new["kid"], good["kid"])
    return segment(good | changed)


def _respaced(pattern: str, ours: str) -> str:
    """Return our JSON with the pattern's blanks before its signs and words, as far as it goes."""
    blanks = re.findall(r'(\s*)(?:"[^"]*"|[{}:,])', pattern)
    words = re.findall(r'"[^"]*"|[{}:,]', ours)
    return "".join(blank + word for blank, word in zip(_endless(blanks), words, strict=False))


def _endless(blanks: list[str]) -> list[str]:
    return blanks + [""] * 99


def _edited_segment(before: str, after: str, ours: str) -> str:
    if not after or after == before:
        return ours if after else ""
    if not _is_base64url(after):
        return _edited_text(before, after, ours)
    if segment(opened(after)) != after:
        return ours[:-1] + ALPHABET[ALPHABET.index(ours[-1]) | 1]
    if len(after) == len(before):
        return segment(_flipped(opened(before), opened(after), opened(ours)))
    return after


def _edited_signature(before: str, after: str, good: Good) -> str:
    old, new = opened(before), opened(after)
    if before == after or not after or not _is_base64url(after):
        return _edited_segment(before, after, good.parts[2])
    if old in new:
        ahead, _, behind = new.partition(old)
        return segment(ahead + good.raw_signature + behind)
    if good.key.algorithm is Algorithm.ES256:
        numbers = _edited_numbers(old, new, good.raw_signature)
        if numbers is not None:
            return segment(numbers)
    return _edited_segment(before, after, good.parts[2])


def _edited_numbers(before: bytes, after: bytes, ours: bytes) -> bytes | None:
    """Return our r and s with what was done to the original's, None where that is no arithmetic."""
    numbers = [
        _edited_number(*three)
        for three in zip(halves(before), halves(after), halves(ours), strict=True)
    ]
    if None in numbers:
        return None
    r, s = (number for number in numbers if number is not None)
    return joined(r, s, len(after) // 2)


def _edited_number(before: int, after: int, ours: int) -> int | None:
    if after in EDGES:
        return after
    if after == before << 8:
        return ours << 8
    # The original may have been the twin with n - s.
    for base, our_base in ((before, ours), (P256_ORDER - before, P256_ORDER - ours)):
        if after - base in OVERFLOWS:
            return our_base + after - base
    return None


def _flipped(before: bytes, after: bytes, ours: bytes) -> bytes:
    """Return our bytes with the bits flipped that were flipped in the original's."""
    width = min(len(before), len(ours))
    flips = bytes(old ^ new for old, new in zip(before, after, strict=True))
    return bytes(a ^ b for a, b in zip(ours[:width], flips[:width], strict=True)) + ours[width:]


def _edited_text(before: str, after: str, ours: str) -> str:
    """Return our text with the one change that was made, as far from the nearer end as it was."""
    ahead = _common(before, after)
    behind = _common(before[ahead:][::-1], after[ahead:][::-1])
    put = after[ahead : len(after) - behind]
    taken = len(before) - ahead - behind
    start = ahead if ahead < behind else len(ours) - behind - taken
    edited = ours[:start] + put + ours[start + taken :]
    # What was put there may be what ours had.
    return edited if edited != ours else ours[:start] + put.swapcase() + ours[start + taken :]


def _common(text: str, other: str) -> int:
    """Return how many letters two texts begin with alike."""
    pairs = enumerate(zip(text, other, strict=False))
    unlike = (place for place, (letter, its) in pairs if letter != its)
    return next(unlike, min(len(text), len(other)))


def _is_base64url(text: str) -> bool:
    return all(letter in ALPHABET for letter in text)
