"""How a setting is read from its text; what cannot be read raises ValueError with the remedy."""

import re
from collections.abc import Callable
from datetime import timedelta

LONGEST_DURATION = timedelta(days=36500)
ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[^/?#@*\s]+")


def text(value: str) -> str:
    """Read a text as it stands."""
    return value


def switch(value: str) -> bool:
    """Read a yes or a no."""
    answers = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}
    try:
        return answers[value.lower()]
    except KeyError:
        raise ValueError("must be true or false") from None


def one_of(*choices: str) -> Callable[[str], str]:
    """Return a reader of one of these words, written in any case."""

    def read(value: str) -> str:
        for choice in choices:
            if choice.lower() == value.lower():
                return choice
        raise ValueError(f"must be one of {', '.join(choices)}")

    return read


def whole(least: int, most: int) -> Callable[[str], int]:
    """Return a reader of whole numbers within these bounds."""

    def read(value: str) -> int:
        if not re.fullmatch(r"[0-9]{1,9}", value, re.ASCII) or not least <= int(value) <= most:
            raise ValueError(f"must be a whole number from {least} to {most}")
        return int(value)

    return read


def duration(value: str) -> timedelta:
    """Read a whole number of days, hours, minutes or seconds."""
    form = re.fullmatch(r"([1-9][0-9]{0,7})([dhms])", value, re.ASCII)
    if form is None:
        raise ValueError("must be a duration like 90d, 12h, 30m or 45s")
    units = {"d": "days", "h": "hours", "m": "minutes", "s": "seconds"}
    return min(timedelta(**{units[form[2]]: int(form[1])}), LONGEST_DURATION)


def origins(value: str) -> list[str]:
    """Read a list of origins (RFC 6454, section 6.2), separated by commas; `*` stands for all."""
    listed = [origin.strip() for origin in value.split(",") if origin.strip()]
    if not listed or not all(origin == "*" or ORIGIN.fullmatch(origin) for origin in listed):
        raise ValueError("must list origins like https://app.example.com, without a path, or be *")
    return listed


def secrets(value: str) -> list[str]:
    """Read a list of secrets, separated by commas."""
    return [secret.strip() for secret in value.split(",") if secret.strip()]


def digests(value: str) -> list[str]:
    """Read a list of SHA-256 digests, separated by commas."""
    listed = [digest.strip().lower() for digest in value.split(",") if digest.strip()]
    if not all(re.fullmatch(r"[0-9a-f]{64}", digest) for digest in listed):
        raise ValueError("must list SHA-256 digests, as make_service_token prints them")
    return listed
