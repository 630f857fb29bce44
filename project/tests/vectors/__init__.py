"""Vectors of Project Wycheproof for JSON Web Signatures.

`wycheproof.json` holds, unchanged, the groups under a symmetric or an elliptic key of
`testvectors_v1/json_web_signature_test.json` of https://github.com/C2SP/wycheproof at commit
dac1dd4729fd. The licence, Apache 2.0, lies beside it.

Two kinds of labels are not followed. Some vectors said to be invalid are, letter by letter, a
valid one: their fault is not in the text. Some said to be valid are not base64url (RFC 7515,
section 2), which a strict reader refuses.
"""

import hashlib
import hmac
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import cache
from pathlib import Path

from project.tests.support import forge

FILE = Path(__file__).parent / "wycheproof.json"
COMPACT = re.compile(r"[\w-]+\.[\w-]*\.[\w-]+", re.ASCII)


@dataclass(frozen=True)
class Vector:
    """A token of somebody else, good or bad, and the name of the key that it is to be read by."""

    number: int
    comment: str
    text: str
    is_valid: bool
    key_id: str
    secret: bytes | None
    """Of a symmetric key alone."""

    @property
    def name(self) -> str:
        """What a failing test shows."""
        return f"{self.number} {self.comment}"

    def is_signed(self) -> bool:
        """Return whether the secret signed the text, base64url or not."""
        signing_input, _, signature = self.text.rpartition(".")
        if self.secret is None:
            return False
        mac = hmac.digest(self.secret, signing_input.encode(), hashlib.sha256)
        return forge.segment(mac) == signature


@cache
def read() -> Sequence[Vector]:
    """Return every vector."""
    groups = json.loads(FILE.read_text())["testGroups"]
    return [_vector(group["private"], test) for group in groups for test in group["tests"]]


def _vector(key: dict[str, str], test: dict[str, object]) -> Vector:
    return Vector(
        number=int(str(test["tcId"])),
        comment=str(test["comment"]),
        text=str(test["jws"]),
        is_valid=test["result"] == "valid",
        key_id=key["kid"],
        secret=forge.decoded_segment(key["k"]) if "k" in key else None,
    )


@cache
def originals() -> Sequence[Vector]:
    """Return the vectors that the others were made from: valid, and spelled as is usual."""
    return [vector for vector in read() if vector.is_valid and _is_usual(vector.text)]


def is_good(vector: Vector) -> bool:
    """Return whether the text is to be accepted under a good key."""
    if vector.is_valid:
        return COMPACT.fullmatch(vector.text) is not None
    return any(vector.text == original.text for original in originals())


def _is_usual(text: str) -> bool:
    if not COMPACT.fullmatch(text):
        return False
    header = forge.decoded_segment(text.partition(".")[0])
    return not re.search(rb"\s", header)


def _likeness(text: str, other: str) -> float:
    return SequenceMatcher(None, _bytes(text), _bytes(other), autojunk=False).ratio()


def _bytes(text: str) -> bytes:
    """Return what the segments spell, where text alone is shifted by a byte that was put before."""
    return b".".join(forge.decoded_segment(segment) for segment in text.split("."))
