"""What the doctor finds: how grave it is, what it is, and what to do."""

from dataclasses import dataclass
from enum import IntEnum

from flask import current_app


class Level(IntEnum):
    """How grave a finding is; the number is the exit code of the worst."""

    OK = 0
    WARNING = 1
    ERROR = 2


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check has found, without any secret; the remedy is empty where nothing is wrong."""

    level: Level
    found: str
    remedy: str = ""


def ok(found: str) -> Finding:
    """Return that all is well."""
    return Finding(Level.OK, found)


def warning(found: str, remedy: str) -> Finding:
    """Return what works, and should not stay so."""
    return Finding(Level.WARNING, found, remedy)


def error(found: str, remedy: str) -> Finding:
    """Return what does not work, or is a danger now."""
    return Finding(Level.ERROR, found, remedy)


def in_production(amiss: bool, found: str, remedy: str) -> Finding:
    """Return a warning where something is amiss in production; elsewhere all is well."""
    return warning(found, remedy) if amiss and current_app.config["STRICT"] else ok(found)
