"""The folder in which the processes of a server share their metrics, created at every start."""

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
"""The environment variable that names the folder to prometheus_client."""

REMEDY = (
    "The folder for the metrics cannot be created: set TMPDIR to a writable folder, or unset "
    "METRICS_TOKEN"
)
PREFIX = "users-metrics-"
FILE_SIZES = {"histogram": 1 << 21, "counter": 1 << 18, "gauge_livesum": 1 << 18}
"""Bytes reserved for each file of a process: more than the service's time series need."""
MIN_STALE_SECONDS = 60.0
"""Age from which a folder without a lock is stale: its server has ended without removing it."""


def create() -> None:
    """Create an empty folder of mode 700 for the server that is about to start.

    The server holds a lock on it until its end, through `exec` and `fork`. The lock protects the
    folder from other servers and from systemd-tmpfiles (tmpfiles.d(5)). Stale folders are removed.
    Raises OSError if the folder cannot be created or the disk is full.
    """
    _remove_stale()
    folder = mkdtemp(prefix=PREFIX)
    _check_space(Path(folder))
    lock = os.open(folder, os.O_RDONLY)
    fcntl.flock(lock, fcntl.LOCK_SH)
    os.set_inheritable(lock, True)
    os.environ[VARIABLE] = folder


def reserve(folder: Path, process: int) -> None:
    """Create the metrics files of a process at their full size.

    The files are mapped into memory, where a write to a full disk kills the process (SIGBUS,
    mmap(2)). Raises OSError if the disk is full, and then removes the files.
    """
    files = {folder / f"{kind}_{process}.db": size for kind, size in FILE_SIZES.items()}
    try:
        for file, size in files.items():
            _reserve(file, size)
    except OSError:
        for file in files:
            file.unlink(missing_ok=True)
        raise


def _reserve(file: Path, size: int) -> None:
    """Create a file with its full size. A scrape cannot read a file that is still empty."""
    if file.exists():
        return
    unfinished = file.with_suffix(".new")
    try:
        with unfinished.open("wb") as opened:
            if sys.platform == "linux":
                os.posix_fallocate(opened.fileno(), 0, size)
        unfinished.rename(file)
    finally:
        unfinished.unlink(missing_ok=True)


def _check_space(folder: Path) -> None:
    """Check that the folder has space for a process; remove it if not. Raises OSError."""
    process = os.getpid()
    try:
        reserve(folder, process)
    except OSError:
        shutil.rmtree(folder)
        raise
    for kind in FILE_SIZES:
        (folder / f"{kind}_{process}.db").unlink()


def _remove_stale() -> None:
    for folder in Path(gettempdir()).glob(f"{PREFIX}*"):
        with suppress(OSError), _opened(folder) as opened:
            if _is_removable(os.fstat(opened)):
                # Raises BlockingIOError while a server holds the folder.
                fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder)


def _is_removable(status: os.stat_result) -> bool:
    """Return whether a folder is this user's, and old enough for its server to have locked it."""
    return status.st_uid == os.getuid() and time.time() - status.st_mtime > MIN_STALE_SECONDS


@contextmanager
def _opened(folder: Path) -> Iterator[int]:
    # Other users can create a symbolic link of this name in the temporary folder.
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        yield opened
    finally:
        os.close(opened)
