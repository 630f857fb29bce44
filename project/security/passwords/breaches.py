"""Passwords that breaches have made known: a file of hashes, searched where it lies.

The form is that of the Have I Been Pwned downloader: lines `HASH` or `HASH:count`, sorted, ended by
LF or CRLF, where HASH is the SHA-1 of a password in hexadecimal digits. A hash may be cut to its
first digits, 10 at the least and as many in every line.

The whole list has some 40 GB, so a search halves the file by byte offsets and reads a few lines a
time. Each search opens the file anew: threads share nothing, and a file that is renamed into its
place serves from then on.
"""

import hashlib
import os
import re
from pathlib import Path

from project.security.passwords import hashing

LINE = re.compile(rb"([0-9A-Fa-f]{10,40})(?::[0-9]{1,12})?\r?")
STRETCH = 256
"""Bytes that are certain to hold two whole lines, wherever they begin."""
PAGE = 4096
"""Bytes that are read at once when the search has come so far."""
SAMPLES = 64
"""Stretches of a file that are looked at before it is used."""
NTLM_DIGITS = 32


class FileUnusable(ValueError):
    """The file cannot be searched; the text says why and what to do, as a sentence's predicate."""

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"{reason}: give one that haveibeenpwned-downloader wrote, or leave it out"
        )


def searchable(path: str) -> str:
    """Return the absolute path of a file that can be searched.

    The first lines, the last ones and some between stand for all; a short file is read in whole.
    Raises FileUnusable where it is absent, unreadable, malformed or not sorted.
    """
    try:
        if not Path(path).is_file():
            raise FileUnusable(f"names no file, {path}")
        with Path(path).open("rb", buffering=0) as file:
            _check([_hashes(lines) for lines in _samples(file.fileno())])
    except OSError as error:
        raise FileUnusable(f"names {path}, which cannot be read ({error.strerror})") from None
    return str(Path(path).absolute())


def contain(password: str, path: str) -> bool:
    """Tell whether a password is in the file. Raises OSError or FileUnusable.

    It counts as typed, which is how breaches have it, and in the one form that is hashed here.
    """
    forms = {password, hashing.normalize(password)}
    with Path(path).open("rb", buffering=0) as file:
        return any(_contains(file.fileno(), _sha1(form)) for form in forms)


def _check(stretches: list[list[bytes]]) -> None:
    """Hold the hashes of a file's stretches to one length, that of SHA-1, and to their order."""
    lengths = {len(digits) for stretch in stretches for digits in stretch}
    if len(lengths) > 1:
        raise FileUnusable("names a file whose hashes differ in length")
    if NTLM_DIGITS in lengths:
        # As prefixes of SHA-1 they would match nothing, and nobody would notice.
        raise FileUnusable("names a file of NTLM hashes")
    firsts = [stretch[0] for stretch in stretches]
    if any(digits != sorted(digits) for digits in (firsts, *stretches)):
        raise FileUnusable("names a file that is not sorted by hash")


def _samples(descriptor: int) -> list[list[bytes]]:
    """Return the whole lines of stretches from the file's beginning to its end, in order."""
    last = max(0, _size(descriptor) - STRETCH)
    offsets = sorted({last * number // SAMPLES for number in range(SAMPLES + 1)})
    return [_whole_lines(descriptor, offset) for offset in offsets]


def _whole_lines(descriptor: int, offset: int) -> list[bytes]:
    """Return the lines that begin and end in a stretch; all of it where there is none."""
    stretch = os.pread(descriptor, STRETCH, offset)
    lines = stretch.split(b"\n")
    if offset + len(stretch) < _size(descriptor) or not lines[-1]:
        lines.pop()
    return lines[1 if offset else 0 :] or [stretch]


def _hashes(lines: list[bytes]) -> list[bytes]:
    forms = [LINE.fullmatch(line) for line in lines]
    if None in forms:
        raise FileUnusable("names a file with a line that is not HASH or HASH:count")
    return [form[1].upper() for form in forms if form]


def _contains(descriptor: int, sha1: bytes) -> bool:
    """Search by halves: a line of this hash begins, if anywhere, at `start` or between the two."""
    wanted = sha1[: _digits(descriptor)]
    start, end = 0, _size(descriptor)
    while end - start > PAGE:
        offset, line = _next_line(descriptor, (start + end) // 2)
        if line[: len(wanted)].upper() > wanted:
            end = offset
        else:
            start = offset
    lines = os.pread(descriptor, end - start, start).split(b"\n")
    return any(line[: len(wanted)].upper() == wanted for line in lines)


def _next_line(descriptor: int, offset: int) -> tuple[int, bytes]:
    """Return the line behind the one that an offset lies in, and where it begins."""
    stretch = os.pread(descriptor, STRETCH, offset)
    begin = stretch.find(b"\n") + 1
    return offset + begin, stretch[begin:].partition(b"\n")[0]


def _digits(descriptor: int) -> int:
    """Return how many digits the file's hashes have."""
    (first,) = _hashes(_whole_lines(descriptor, 0)[:1])
    return len(first)


def _size(descriptor: int) -> int:
    return os.fstat(descriptor).st_size


def _sha1(password: str) -> bytes:
    return hashlib.sha1(password.encode(), usedforsecurity=False).hexdigest().upper().encode()
