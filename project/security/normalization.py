"""Unicode normalization of bounded length.

Normalization sorts the combining marks of a character by insertion and holds the interpreter while
it does: 16 kB of them take 130 ms. So every caller states how long its text can be.
"""

import unicodedata
from typing import Literal

MAX_EXPANSION = 18
"""Characters that one character can become under NFKC: U+FDFA does."""


def normalize(form: Literal["NFD", "NFKC"], text: str, longest: int) -> str:
    """Return the text in a normalization form; a text of more characters is returned as it is."""
    return text if len(text) > longest else unicodedata.normalize(form, text)
