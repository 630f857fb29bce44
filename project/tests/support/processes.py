"""End every process that a run of the suite has started, including orphans."""

import ctypes
import os
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path

SUBREAPER = 36
"""PR_SET_CHILD_SUBREAPER (prctl(2)): orphaned descendants become children of this process."""

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGKILL)
"""Sent in this order; on SIGINT, PostgreSQL no longer waits for its clients."""

SIGNAL_INTERVAL = 5.0
"""Seconds between two signals."""

PAUSE = 0.02


def adopt_orphans() -> None:
    """Make orphaned descendants children of this process (Linux only)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(SUBREAPER, 1, 0, 0, 0)


def end_descendants() -> None:
    """End every descendant of this process: SIGTERM first, SIGKILL last."""
    for number in SIGNALS:
        for process in _descendants(os.getpid()):
            _send(process, number)
        if _all_ended(time.monotonic() + SIGNAL_INTERVAL):
            return


def _all_ended(deadline: float) -> bool:
    while time.monotonic() < deadline:
        _reap()
        if not _descendants(os.getpid()):
            return True
        time.sleep(PAUSE)
    return False


def _reap() -> None:
    """Reap children that have ended: zombies would stay in the list."""
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _send(process: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.kill(process, number)


def _descendants(process: int) -> list[int]:
    found: list[int] = []
    for thread in Path(f"/proc/{process}/task").glob("*/children"):
        try:
            children = [int(child) for child in thread.read_text().split()]
        except OSError:  # it has just ended
            continue
        for child in children:
            found += [child, *_descendants(child)]
    return found
