"""Whether the server is about to end: one byte that the processes of a server share.

The first process marks it when it is told to end, and the workers, which it has forked, see it.
"""

import mmap

_mark = mmap.mmap(-1, 1)


def begin() -> None:
    """Say that no new request should be sent here."""
    _mark[0] = 1


def end() -> None:
    """Take that back."""
    _mark[0] = 0


def is_on() -> bool:
    """Tell whether the server is about to end."""
    return _mark[0] == 1
