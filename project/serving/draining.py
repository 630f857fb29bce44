"""Draining, the grace period before shutdown: a flag that all processes of a server share.

The parent process sets the flag when it receives SIGTERM. Its workers, which it has forked, read
it through shared memory and report that they are not ready.
"""

import mmap

_flag = mmap.mmap(-1, 1)


def begin() -> None:
    """Start draining: `/health/ready` asks load balancers to send no new requests."""
    _flag[0] = 1


def end() -> None:
    """Stop draining."""
    _flag[0] = 0


def is_on() -> bool:
    """Return whether the server is draining."""
    return _flag[0] == 1
