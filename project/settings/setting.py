"""The class of a setting."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Setting:
    """Describe a setting: its name, its parser, its default and its meaning in one description.

    A secret setting can also be read from a file: `SECRET_KEY_FILE` names the file of `SECRET_KEY`.
    """

    name: str
    parse: Callable[[str], object]
    """Returns the value of a string; raises ValueError with a predicate, like "must be true"."""
    default: object
    description: str
    secret: bool = False
