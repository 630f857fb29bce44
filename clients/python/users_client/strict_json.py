"""Strict JSON (RFC 8259): Python's own parser accepts more."""

import json


def loads(raw: bytes) -> object:
    """Parse UTF-8 bytes.

    Raises ValueError for anything but UTF-8, for NaN and the infinities (RFC 8259, section 6), for
    an object with a duplicate member (section 4) and for nesting that is too deep for the parser.
    """
    try:
        return _DECODER.decode(raw.decode("utf-8"))
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _members(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("duplicate member")
    return members


def _reject_constant(name: str) -> object:
    raise ValueError(f"{name} is not JSON")


_DECODER = json.JSONDecoder(object_pairs_hook=_members, parse_constant=_reject_constant)
