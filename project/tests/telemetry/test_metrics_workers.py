"""The counts of several workers, on real servers, and the folder that they share."""

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


MAX_RETRIES = 60.0
REQUESTS = 60
PING = {"route": "/ping", "method": "GET", "status": "200"}


def pings(metrics: Scrape) -> float:
    """Return how many pings were counted."""
    return metrics.value("users_request_seconds_count", **PING)


def has_pings(file: Path) -> bool:
    """Return whether a process has counted a ping; it creates its file, empty, as it starts."""
    if not file.stat().st_size:
        return False
    return any(PING["route"] in key for key, *_ in MmapedDict.read_all_values_from_file(str(file)))


class WorkersCase(TestCase):
    """Two workers on one database, with a folder for temporary files of their own."""

    __test__ = False
    kind: ClassVar[str]

    def setUp(self) -> None:
        self.url = databases.new_database()
        databases.new_app(self.url)
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))

    @contextmanager
    def serving(self) -> Iterator[OverHTTP]:
        """Serve for as long as the block lasts; yield a caller."""
        settings = {"METRICS_TOKEN": DIGEST, "TMPDIR": str(self.folder), "HASH_THREADS": "3"}
        with servers.running(self.kind, self.url, **settings) as url:
            yield OverHTTP(url)

    def shared(self) -> Path:
        """Return the folder in which the workers count."""
        (found,) = self.folder.glob("users-metrics-*")
        return found

    def counting(self) -> set[int]:
        """Return the processes that have counted a ping, and so have set their gauges."""
        files = self.shared().glob("histogram_*.db")
        return {int(file.stem.split("_")[1]) for file in files if has_pings(file)}

    def ping_until(self, caller: OverHTTP, is_enough: Callable[[], bool]) -> int:
        """Ping at least so often, and until this holds; return how often."""
        sent, patience = 0, time.monotonic() + MAX_RETRIES
        while sent < REQUESTS or not is_enough():
            self.assertLess(time.monotonic(), patience)
            # A worker that ends cuts off who waits at its door, and has counted nothing of it.
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
            self.assertEqual(stat.S_IMODE(self.shared().stat().st_mode), 0o700)

    def test_counters_start_at_zero(self) -> None:
        for _ in range(2):
            with self.serving() as caller:
                caller.get("/ping")
                self.assertEqual(pings(scrape(caller)), 1)
                left = self.shared()
            for path in (left, *left.iterdir()):
                os.utime(path, (0, 0))

    def worker_replaced(self, caller: OverHTTP, worker: int) -> int:
        """Ping until a worker is gone and its successor has counted; return how often."""
        known = self.counting()

        def is_replaced() -> bool:
            return not psutil.pid_exists(worker) and len(self.counting() - known) > 0

        return self.ping_until(caller, is_replaced)


@pytest.mark.any_database
class TestGranian(WorkersCase):
    """The server that is shipped; metrics to, it replaces its workers."""

    __test__ = True
    kind = "granian"

    def test_a_worker_that_was_replaced_loses_no_counts(self) -> None:
        with self.serving() as caller:
            sent = self.ping_until(caller, lambda: len(self.counting()) == servers.WORKERS)
            worker = min(self.counting())
            os.kill(psutil.Process(worker).ppid(), signal.SIGHUP)
            sent += self.worker_replaced(caller, worker)
            self.assertEqual(pings(scrape(caller)), sent)


@pytest.mark.any_database
class TestGunicorn(WorkersCase):
    """The server that replaces a worker that was killed."""

    __test__ = True
    kind = "gunicorn"

    def test_a_worker_that_was_killed_loses_no_counts_and_holds_nothing(self) -> None:
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
    """What a server leaves behind."""

    def setUp(self) -> None:
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.enterContext(mock.patch.object(tempfile, "tempdir", str(self.folder)))
        self.enterContext(mock.patch.dict(os.environ))

    def leave(self, name: str) -> Path:
        """Leave a folder behind, an hour ago."""
        left = self.folder / f"users-metrics-{name}"
        left.mkdir()
        (left / "counter_1.db").touch()
        os.utime(left, (time.time() - 3600,) * 2)
        return left

    def make(self) -> Path:
        """Make a folder as a server does that starts."""
        metrics_folder.create()
        return Path(os.environ["PROMETHEUS_MULTIPROC_DIR"])

    def test_files_of_ended_servers_are_removed(self) -> None:
        left, other = self.leave("left"), self.folder / "other"
        other.mkdir()
        made = self.make()
        self.assertEqual({*self.folder.iterdir()}, {made, other})
        self.assertFalse(left.exists())

    def test_what_a_server_holds_is_left_alone(self) -> None:
        first = self.make()
        os.utime(first, (0, 0))
        held = self.leave("held")
        descriptor = os.open(held, os.O_RDONLY)
        self.addCleanup(os.close, descriptor)
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        made = self.make()
        self.assertEqual({*self.folder.iterdir()}, {first, held, made})

    def test_a_server_that_can_make_none_says_so(self) -> None:
        app = databases.bare_app("sqlite:////tmp/never.sqlite", METRICS_TOKEN=DIGEST)
        self.enterContext(mock.patch.object(tempfile, "tempdir", str(self.folder / "none")))
        with app.app_context(), self.assertRaisesRegex(CommandFailed, r"set TMPDIR .* \(No such"):
            serving.share_metrics()

    def test_what_has_only_just_been_made_is_left_alone(self) -> None:
        young = self.leave("young")
        os.utime(young)
        self.make()
        self.assertTrue(young.exists())

    def test_a_link_is_not_followed(self) -> None:
        elsewhere = Path(self.enterContext(tempfile.TemporaryDirectory()))
        (elsewhere / "kept").touch()
        os.utime(elsewhere, (0, 0))
        (self.folder / "users-metrics-link").symlink_to(elsewhere)
        self.make()
        self.assertTrue((elsewhere / "kept").exists())
