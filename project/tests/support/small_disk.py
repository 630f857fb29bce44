"""A small disk that can be filled for real, and emptied again."""

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

CHUNK = bytes(4096)


class Disk:
    """A file system of its own, in memory."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ballast = folder / "ballast"

    def fill(self) -> None:
        """Fill it to the last byte."""
        with self.ballast.open("wb", buffering=0) as ballast, suppress(OSError):
            while ballast.write(CHUNK):
                pass
        assert os.statvfs(self.folder).f_bavail == 0

    def free(self) -> None:
        """Give back what was filled."""
        self.ballast.unlink()


@contextmanager
def small_disk(megabytes: int) -> Iterator[Disk]:
    """Yield a disk of this size; where nobody lets us mount one, the test is skipped."""
    with in_memory(megabytes) as folder:
        if not folder.is_mount():
            pytest.skip("NO DISK CAN BE MOUNTED HERE: nothing is tested on one that is full")
        yield Disk(folder)


@contextmanager
def in_memory(megabytes: int) -> Iterator[Path]:
    """Yield a folder that other programs' writing does not slow down, where one can be mounted."""
    # Directly under the system's folder, which every user may enter.
    with (
        tempfile.TemporaryDirectory(prefix="users-disk-", dir="/tmp") as name,
        ExitStack() as stack,
    ):
        folder = Path(name)
        folder.chmod(0o755)
        options = ["-t", "tmpfs", "-o", f"size={megabytes}m,mode=755", "users", name]
        if subprocess.run(["mount", *options], capture_output=True, check=False).returncode == 0:
            stack.callback(subprocess.run, ["umount", "--lazy", name], check=True)
        yield folder
