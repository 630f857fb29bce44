"""JSON as RFC 8259 means it, where Python's own reader is more generous."""

import json


def loads(raw: bytes) -> object:
    """Return the value that these UTF-8 bytes spell.

    Raises ValueError for anything but UTF-8, for NaN and the infinities (RFC 8259, section 6), for
    an object that names a member twice (section 4) and for nesting deeper than the reader's stack.
    """
    try:
        return _DECODER.decode(raw.decode("utf-8"))
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _members(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member is named twice")
    return members


def _refuse_constant(name: str) -> object:
    raise ValueError(f"{name} is not JSON")


_DECODER = json.JSONDecoder(object_pairs_hook=_members, parse_constant=_refuse_constant)
