"""What a setting is."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Setting:
    """A name, a way to read it from the environment, a default and a sentence.

    A secret one can be read from a file too, which the name with `_FILE` behind it names.
    """

    name: str
    read: Callable[[str], object]
    default: object
    sentence: str
    secret: bool = False
