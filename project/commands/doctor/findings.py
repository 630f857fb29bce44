"""The findings of the doctor: a level, a description and a remedy."""

from dataclasses import dataclass
from enum import IntEnum

from flask import current_app


class Level(IntEnum):
    """The severity of a finding. The highest level is the exit code of the doctor."""

    OK = 0
    WARNING = 1
    ERROR = 2


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of a check. It contains no secret; the remedy is empty at level OK."""

    level: Level
    found: str
    remedy: str = ""


def ok(found: str) -> Finding:
    """Return a finding that needs no action."""
    return Finding(Level.OK, found)


def warning(found: str, remedy: str) -> Finding:
    """Return a finding that should be fixed, although the service works."""
    return Finding(Level.WARNING, found, remedy)


def error(found: str, remedy: str) -> Finding:
    """Return a finding that stops the service from working, or makes it insecure."""
    return Finding(Level.ERROR, found, remedy)


def warn_in_production(is_unsafe: bool, found: str, remedy: str) -> Finding:
    """Return a warning if something is unsafe in production; otherwise ok."""
    return warning(found, remedy) if is_unsafe and current_app.config["STRICT"] else ok(found)
