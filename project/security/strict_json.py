"""A parser for strict JSON (RFC 8259); Python's own parser also accepts other texts."""

import json


def loads(raw: bytes) -> object:
    """Parse UTF-8 JSON.

    Raises ValueError for other encodings, for NaN and the infinities (RFC 8259, section 6), for
    duplicate members of an object (section 4: their meaning is unpredictable) and for nesting
    deeper than the parser's stack.
    """
    try:
        return _DECODER.decode(raw.decode("utf-8"))
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("an object has duplicate members")
    return members


def _reject_constant(name: str) -> object:
    raise ValueError(f"{name} is not JSON")


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_reject_constant)
