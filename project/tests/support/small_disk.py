"""Mount a small disk that tests can fill."""

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

CHUNK = bytes(4096)


class Disk:
    """A file system in memory."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ballast = folder / "ballast"

    def fill(self) -> None:
        """Fill the disk to the last byte."""
        with self.ballast.open("wb", buffering=0) as ballast, suppress(OSError):
            while ballast.write(CHUNK):
                pass
        assert os.statvfs(self.folder).f_bavail == 0

    def free(self) -> None:
        """Free the space again."""
        self.ballast.unlink()


@contextmanager
def small_disk(megabytes: int) -> Iterator[Disk]:
    """Yield a disk of this size; skip the test where none can be mounted."""
    with in_memory(megabytes) as folder:
        if not folder.is_mount():
            pytest.skip("NO DISK CAN BE MOUNTED HERE: tests on a full disk do not run")
        yield Disk(folder)


@contextmanager
def in_memory(megabytes: int) -> Iterator[Path]:
    """Yield a folder in memory if one can be mounted, so that no other program slows it down."""
    # Directly in the system's temporary folder, which every user can enter.
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
