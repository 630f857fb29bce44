"""Search for passwords in a file of hashes from data breaches.

The format is that of haveibeenpwned-downloader: sorted lines `HASH` or `HASH:count`, ended by LF or
CRLF, where HASH is the SHA-1 of a password in hexadecimal digits. Hashes may be cut to their first
digits: at least 10, and the same number in every line.

The complete list has some 40 GB, so the file is searched on disk: a binary search by byte offset
reads a few lines at each step. Every search opens the file again, so threads share nothing and a
file can be replaced by renaming another one to its name.
"""

import hashlib
import os
import re
from pathlib import Path

from project.security.passwords import hashing

LINE = re.compile(rb"([0-9A-Fa-f]{10,40})(?::[0-9]{1,12})?\r?")
CHUNK = 256
"""Bytes that contain at least two complete lines, from any offset."""
PAGE = 4096
"""Bytes that the last step of a search reads at once."""
SAMPLES = 64
"""Chunks of a file that are checked before it is used."""
NTLM_DIGITS = 32


class FileUnusable(ValueError):
    """The file cannot be searched; the message is a predicate with the reason and the remedy."""

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"{reason}: set it to a file that haveibeenpwned-downloader wrote, or unset it"
        )


def check_file(path: str) -> str:
    """Check that a file can be searched, and return its absolute path.

    Checks the first lines, the last ones and a sample between; a short file is read completely.
    Raises FileUnusable if the file is missing, unreadable, malformed or not sorted.
    """
    try:
        if not Path(path).is_file():
            raise FileUnusable(f"names no file ({path})")
        with Path(path).open("rb", buffering=0) as file:
            _check([_hashes(lines) for lines in _samples(file.fileno())])
    except OSError as error:
        raise FileUnusable(f"names a file that cannot be read ({path}: {error.strerror})") from None
    return str(Path(path).absolute())


def contain(password: str, path: str) -> bool:
    """Return whether the file contains a password, as typed or normalized.

    Raises OSError or FileUnusable.
    """
    forms = {password, hashing.normalize(password)}
    with Path(path).open("rb", buffering=0) as file:
        return any(_contains(file.fileno(), _sha1(form)) for form in forms)


def _check(chunks: list[list[bytes]]) -> None:
    """Raise FileUnusable unless the hashes of all chunks are sorted and equally long."""
    lengths = {len(digits) for chunk in chunks for digits in chunk}
    if len(lengths) > 1:
        raise FileUnusable("names a file whose hashes differ in length")
    if NTLM_DIGITS in lengths:
        # As prefixes of SHA-1 they would never match, and nobody would notice.
        raise FileUnusable("names a file of NTLM hashes")
    firsts = [chunk[0] for chunk in chunks]
    if any(digits != sorted(digits) for digits in (firsts, *chunks)):
        raise FileUnusable("names a file that is not sorted by hash")


def _samples(descriptor: int) -> list[list[bytes]]:
    """Return the complete lines of chunks from the beginning to the end of the file, in order."""
    last = max(0, _size(descriptor) - CHUNK)
    offsets = sorted({last * number // SAMPLES for number in range(SAMPLES + 1)})
    return [_complete_lines(descriptor, offset) for offset in offsets]


def _complete_lines(descriptor: int, offset: int) -> list[bytes]:
    """Return the complete lines of the chunk at an offset, or the chunk if it has none."""
    chunk = os.pread(descriptor, CHUNK, offset)
    lines = chunk.split(b"\n")
    if offset + len(chunk) < _size(descriptor) or not lines[-1]:
        lines.pop()
    return lines[1 if offset else 0 :] or [chunk]


def _hashes(lines: list[bytes]) -> list[bytes]:
    matches = [LINE.fullmatch(line) for line in lines]
    if None in matches:
        raise FileUnusable("names a file with a line that is not HASH or HASH:count")
    return [match[1].upper() for match in matches if match]


def _contains(descriptor: int, sha1: bytes) -> bool:
    """Return whether the file contains a hash, found by binary search.

    A line with the hash, if there is one, begins at `start` or between `start` and `end`.
    """
    wanted = sha1[: _hash_length(descriptor)]
    start, end = 0, _size(descriptor)
    while end - start > PAGE:
        offset, line = _read_next_line(descriptor, (start + end) // 2)
        if line[: len(wanted)].upper() > wanted:
            end = offset
        else:
            start = offset
    lines = os.pread(descriptor, end - start, start).split(b"\n")
    return any(line[: len(wanted)].upper() == wanted for line in lines)


def _read_next_line(descriptor: int, offset: int) -> tuple[int, bytes]:
    """Return the offset of the first line that begins after an offset, and the line itself."""
    chunk = os.pread(descriptor, CHUNK, offset)
    begin = chunk.find(b"\n") + 1
    return offset + begin, chunk[begin:].partition(b"\n")[0]


def _hash_length(descriptor: int) -> int:
    """Return the number of digits of each hash in the file."""
    (first,) = _hashes(_complete_lines(descriptor, 0)[:1])
    return len(first)


def _size(descriptor: int) -> int:
    return os.fstat(descriptor).st_size


def _sha1(password: str) -> bytes:
    return hashlib.sha1(password.encode(), usedforsecurity=False).hexdigest().upper().encode()
