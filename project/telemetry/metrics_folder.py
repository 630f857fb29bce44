"""The folder in which the processes of a server count together: made anew for every start."""

import fcntl
import os
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import gettempdir, mkdtemp

VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
"""The variable by which prometheus_client, in the server's workers, learns of the folder."""

REMEDY = (
    "No folder for the metrics can be made: set TMPDIR to a folder that can be written, or leave "
    "METRICS_TOKEN out"
)
PREFIX = "users-metrics-"
SIZES = {"histogram": 1 << 21, "counter": 1 << 18, "gauge_livesum": 1 << 18}
"""Bytes of the files of a process: more than the service's series take."""
SETTLED = 60.0
"""Seconds after which a folder that nobody holds is one that a server has left behind."""


def make() -> None:
    """Make the folder for the server that is about to start, of mode 700 and empty.

    It is held by a lock for as long as the server lives, through `exec` and `fork`; so nobody takes
    it for one that was left behind, systemd-tmpfiles neither (tmpfiles.d(5)). Those that were are
    removed. Raises OSError where no folder can be made, or has no room for a process.
    """
    _remove_those_left_behind()
    folder = mkdtemp(prefix=PREFIX)
    _try_room(Path(folder))
    held = os.open(folder, os.O_RDONLY)
    fcntl.flock(held, fcntl.LOCK_SH)
    os.set_inheritable(held, True)
    os.environ[VARIABLE] = folder


def reserve(folder: Path, process: int) -> None:
    """Make the files in which a process is to count, with all of their room.

    They are mapped into memory, where a write for which the disk has no room kills the process
    (SIGBUS, mmap(2)). Raises OSError where there is none, and leaves no file behind.
    """
    files = {folder / f"{kind}_{process}.db": size for kind, size in SIZES.items()}
    try:
        for file, size in files.items():
            _reserve(file, size)
    except OSError:
        for file in files:
            file.unlink(missing_ok=True)
        raise


def _reserve(file: Path, size: int) -> None:
    with file.open("ab") as opened:
        if sys.platform == "linux":
            os.posix_fallocate(opened.fileno(), 0, size)


def _try_room(folder: Path) -> None:
    """Hold a folder to have room for a process; else remove it. Raises OSError."""
    tried = os.getpid()
    try:
        reserve(folder, tried)
    except OSError:
        shutil.rmtree(folder)
        raise
    for kind in SIZES:
        (folder / f"{kind}_{tried}.db").unlink()


def _remove_those_left_behind() -> None:
    for folder in Path(gettempdir()).glob(f"{PREFIX}*"):
        with suppress(OSError), _opened(folder) as opened:
            if _is_ours(os.fstat(opened)):
                fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder)


def _is_ours(found: os.stat_result) -> bool:
    """Tell whether a folder is of this user, and so old that its server has locked it."""
    return found.st_uid == os.getuid() and time.time() - found.st_mtime > SETTLED


@contextmanager
def _opened(folder: Path) -> Iterator[int]:
    # Anybody may put a link of this name into the folder for temporary files.
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        yield opened
    finally:
        os.close(opened)
