"""The metrics of several workers on real servers, and their shared folder."""

import fcntl
import os
import signal
import stat
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import ClassVar
from unittest import TestCase, mock

import psutil
import pytest
from prometheus_client.mmap_dict import MmapedDict

from project.commands import serving
from project.commands.console import CommandFailed
from project.telemetry import metrics_folder
from project.tests.support import databases, servers
from project.tests.support.scraping import DIGEST, Scrape, scrape
from project.tests.utils import OverHTTP

pytestmark = pytest.mark.processes


MAX_WAIT = 60.0
REQUESTS = 60
PING = {"route": "/ping", "method": "GET", "status": "200"}


def pings(metrics: Scrape) -> float:
    """Return the number of counted pings."""
    return metrics.value("users_request_seconds_count", **PING)


def has_pings(file: Path) -> bool:
    """Return whether a process has counted a ping; it creates its file, empty, as it starts."""
    if not file.stat().st_size:
        return False
    return any(PING["route"] in key for key, *_ in MmapedDict.read_all_values_from_file(str(file)))


class WorkersCase(TestCase):
    """Two workers on one database, with a separate folder for temporary files."""

    __test__ = False
    kind: ClassVar[str]

    def setUp(self) -> None:
        self.url = databases.new_database()
        databases.new_app(self.url)
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))

    @contextmanager
    def serving(self) -> Iterator[OverHTTP]:
        """Serve during the block; yield a caller."""
        settings = {"METRICS_TOKEN": DIGEST, "TMPDIR": str(self.folder), "HASH_THREADS": "3"}
        with servers.running(self.kind, self.url, **settings) as url:
            yield OverHTTP(url)

    def shared_folder(self) -> Path:
        """Return the metrics folder of the server."""
        (found,) = self.folder.glob("users-metrics-*")
        return found

    def counting(self) -> set[int]:
        """Return the processes that have counted a ping, and so have set their gauges."""
        files = self.shared_folder().glob("histogram_*.db")
        return {int(file.stem.split("_")[1]) for file in files if has_pings(file)}

    def ping_until(self, caller: OverHTTP, is_enough: Callable[[], bool]) -> int:
        """Ping at least REQUESTS times, until this returns True; return the number of pings."""
        sent, deadline = 0, time.monotonic() + MAX_WAIT
        while sent < REQUESTS or not is_enough():
            self.assertLess(time.monotonic(), deadline)
            # A worker that stops closes waiting connections, and has not counted their requests.
            with suppress(ConnectionError):
                self.assertEqual(caller.get("/ping").status, 200)
                sent += 1
        return sent

    def test_every_worker_returns_the_sum_of_all(self) -> None:
        with self.serving() as caller:
            sent = self.ping_until(caller, lambda: len(self.counting()) == servers.WORKERS)
            metrics = [scrape(caller) for _ in range(12)]
            self.assertEqual({pings(each) for each in metrics}, {sent})
            self.assertEqual({each.value("users_hashing_threads") for each in metrics}, {6})
            self.assertEqual(stat.S_IMODE(self.shared_folder().stat().st_mode), 0o700)

    def test_counters_start_at_zero(self) -> None:
        for _ in range(2):
            with self.serving() as caller:
                caller.get("/ping")
                self.assertEqual(pings(scrape(caller)), 1)
                left = self.shared_folder()
            for path in (left, *left.iterdir()):
                os.utime(path, (0, 0))

    def worker_replaced(self, caller: OverHTTP, worker: int) -> int:
        """Ping until a worker has stopped and its successor has counted; return the number."""
        known = self.counting()

        def is_replaced() -> bool:
            return not psutil.pid_exists(worker) and len(self.counting() - known) > 0

        return self.ping_until(caller, is_replaced)


@pytest.mark.any_database
class TestGranian(WorkersCase):
    """granian, which replaces its workers at SIGHUP."""

    __test__ = True
    kind = "granian"

    def test_the_counts_of_a_replaced_worker_remain(self) -> None:
        with self.serving() as caller:
            sent = self.ping_until(caller, lambda: len(self.counting()) == servers.WORKERS)
            worker = min(self.counting())
            os.kill(psutil.Process(worker).ppid(), signal.SIGHUP)
            sent += self.worker_replaced(caller, worker)
            self.assertEqual(pings(scrape(caller)), sent)


@pytest.mark.any_database
class TestGunicorn(WorkersCase):
    """gunicorn, which replaces a killed worker."""

    __test__ = True
    kind = "gunicorn"

    def test_the_counts_of_a_killed_worker_remain_but_not_its_gauges(self) -> None:
        with self.serving() as caller:
            sent = self.ping_until(caller, lambda: len(self.counting()) == servers.WORKERS)
            worker = min(self.counting())
            doomed = psutil.Process(worker)
            doomed.kill()
            psutil.wait_procs([doomed], 30)
            sent += self.worker_replaced(caller, worker)
            metrics = scrape(caller)
            self.assertEqual(pings(metrics), sent)
            self.assertEqual(metrics.value("users_hashing_threads"), 6)


@pytest.mark.any_database
class TestFolder(TestCase):
    """The creation of the metrics folder, and the removal of stale ones."""

    def setUp(self) -> None:
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.enterContext(mock.patch.object(tempfile, "tempdir", str(self.folder)))
        self.enterContext(mock.patch.dict(os.environ))

    def old_folder(self, name: str) -> Path:
        """Create a metrics folder that is an hour old."""
        left = self.folder / f"users-metrics-{name}"
        left.mkdir()
        (left / "counter_1.db").touch()
        os.utime(left, (time.time() - 3600,) * 2)
        return left

    def new_folder(self) -> Path:
        """Create a metrics folder as a server does when it starts."""
        metrics_folder.create()
        return Path(os.environ["PROMETHEUS_MULTIPROC_DIR"])

    def test_files_of_ended_servers_are_removed(self) -> None:
        left, other = self.old_folder("left"), self.folder / "other"
        other.mkdir()
        made = self.new_folder()
        self.assertEqual({*self.folder.iterdir()}, {made, other})
        self.assertFalse(left.exists())

    def test_a_scrape_never_finds_an_unfinished_file(self) -> None:
        made = self.new_folder()
        reserve_space = os.posix_fallocate
        seen: list[int] = []

        def scraped(*arguments: int) -> None:
            seen.extend(file.stat().st_size for file in made.glob("*.db"))
            reserve_space(*arguments)

        with mock.patch.object(os, "posix_fallocate", scraped):
            metrics_folder.reserve(made, 1)
        self.assertNotIn(0, seen)
        sizes = [file.stat().st_size for file in made.iterdir()]
        self.assertEqual(sorted(sizes), sorted(metrics_folder.FILE_SIZES.values()))

    def test_the_folder_of_a_running_server_is_not_removed(self) -> None:
        first = self.new_folder()
        os.utime(first, (0, 0))
        held = self.old_folder("held")
        descriptor = os.open(held, os.O_RDONLY)
        self.addCleanup(os.close, descriptor)
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        made = self.new_folder()
        self.assertEqual({*self.folder.iterdir()}, {first, held, made})

    def test_an_unusable_temporary_folder_is_reported(self) -> None:
        app = databases.bare_app("sqlite:////tmp/never.sqlite", METRICS_TOKEN=DIGEST)
        self.enterContext(mock.patch.object(tempfile, "tempdir", str(self.folder / "none")))
        with app.app_context(), self.assertRaisesRegex(CommandFailed, r"set TMPDIR .* \(No such"):
            serving.share_metrics()

    def test_a_new_folder_is_not_removed(self) -> None:
        young = self.old_folder("young")
        os.utime(young)
        self.new_folder()
        self.assertTrue(young.exists())

    def test_a_symbolic_link_is_not_followed(self) -> None:
        elsewhere = Path(self.enterContext(tempfile.TemporaryDirectory()))
        (elsewhere / "kept").touch()
        os.utime(elsewhere, (0, 0))
        (self.folder / "users-metrics-link").symlink_to(elsewhere)
        self.new_folder()
        self.assertTrue((elsewhere / "kept").exists())
