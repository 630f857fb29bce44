"""Invisible characters, which names must not contain: two names could otherwise look the same."""

import re
import unicodedata

# Control, format, private use, surrogate, unassigned, and line and paragraph separators (The
# Unicode Standard, section 4.5).
CATEGORIES = frozenset({"Cc", "Cf", "Co", "Cs", "Cn", "Zl", "Zp"})

# Spaces, and marks that are drawn on another character.
BLANK_CATEGORIES = frozenset({"Zs", "Mn", "Me"})

Ranges = tuple[tuple[int, int], ...]

DEFAULT_IGNORABLE: Ranges = (
    (0x00AD, 0x00AD), (0x034F, 0x034F), (0x061C, 0x061C), (0x115F, 0x1160), (0x17B4, 0x17B5),
    (0x180B, 0x180F), (0x200B, 0x200F), (0x202A, 0x202E), (0x2060, 0x206F), (0x3164, 0x3164),
    (0xFE00, 0xFE0F), (0xFEFF, 0xFEFF), (0xFFA0, 0xFFA0), (0xFFF0, 0xFFF8), (0x1BCA0, 0x1BCA3),
    (0x1D173, 0x1D17A), (0xE0000, 0xE0FFF),
)  # fmt: skip
"""Default_Ignorable_Code_Point (Unicode Character Database 17.0, DerivedCoreProperties.txt)."""

EMPTY_GLYPHS: Ranges = (
    (0x2800, 0x2800),
    (0x13441, 0x13442),
    (0x16FE4, 0x16FE4),
    (0x1D159, 0x1D159),
)
"""Characters with an empty glyph: a braille pattern, two Egyptian blanks, a Khitan filler and a
musical notehead."""

CONTROLS: Ranges = ((0x0000, 0x001F), (0x007F, 0x009F), (0x2028, 0x2029), (0xE000, 0xF8FF))
"""Controls, separators and private use characters of the Basic Multilingual Plane."""


def _character_class(ranges: Ranges) -> re.Pattern[str]:
    return re.compile("[" + "".join(f"{chr(first)}-{chr(last)}" for first, last in ranges) + "]")


_INVISIBLE = _character_class(DEFAULT_IGNORABLE + EMPTY_GLYPHS)


def contains_invisible(text: str) -> bool:
    """Return whether the text contains an invisible character."""
    return bool(_INVISIBLE.search(text)) or any(
        unicodedata.category(character) in CATEGORIES for character in text
    )


def is_blank(text: str) -> bool:
    """Return whether the text has only spaces and combining marks."""
    return all(unicodedata.category(character) in BLANK_CATEGORIES for character in text)


def json_class() -> str:
    r"""Return invisible characters as the body of a character class in a JSON Schema pattern.

    It covers the Basic Multilingual Plane only, as `\uXXXX`, which all languages read alike.
    """
    ranges = sorted(CONTROLS + DEFAULT_IGNORABLE + EMPTY_GLYPHS)
    return "".join(
        rf"\u{first:04x}" if first == last else rf"\u{first:04x}-\u{last:04x}"
        for first, last in ranges
        if last <= 0xFFFF
    )
