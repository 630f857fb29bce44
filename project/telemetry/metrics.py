"""The metrics: what is counted, under which names, and how it is told to Prometheus.

Where the server has made a folder (`metrics_folder`), every process keeps its counts in files
there, and whichever is asked tells the sum of all, those that have ended included. Without a folder
the process tells its own. Labels have few values, all of our own choosing: a route's rule, never a
path, and nothing of a person.
"""

import logging
import os
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
    values,
)
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector
from sqlalchemy import Engine
from sqlalchemy.pool import QueuePool

from project.telemetry.metrics_folder import VARIABLE, reserve

REQUEST_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)
HASHING_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)
SAMPLE_INTERVAL = 5.0
"""Seconds between two looks at the pools of connections; Prometheus looks less often."""

log = logging.getLogger(__name__)

# When a series began is told by one process alone and not by several; so by none.
disable_created_metrics()


class Metrics:
    """The counts of one app in this process; of the hashing pool it is told by being its watch."""

    def __init__(self) -> None:
        _choose_how_values_are_kept(os.getpid())
        self._folder = os.environ.get(VARIABLE)
        self._registry = CollectorRegistry()
        self.requests = Histogram(
            "users_request_seconds", "Requests that were answered, and the seconds until then.",
            ["route", "method", "status"], buckets=REQUEST_SECONDS,
            registry=self._registry,
        )  # fmt: skip
        self.errors = self._counter("users_errors", "Requests that were refused.", "code")
        self.throttled = self._counter(
            "users_throttled", "Attempts that a limit did not let in.", "policy"
        )
        self.logins = self._counter("users_logins", "Logins that were tried.", "outcome")
        self.registrations = self._counter(
            "users_registrations", "Registrations that were tried.", "outcome"
        )
        self.sessions_started = self._counter("users_sessions_started", "Sessions opened.")
        self.sessions_ended = self._counter(
            "users_sessions_ended", "Sessions ended before their time."
        )
        self.hashing_seconds = Histogram(
            "users_hashing_seconds", "Seconds that a thread took to hash a password.",
            buckets=HASHING_SECONDS, registry=self._registry,
        )  # fmt: skip
        self.hashing_queued = self._gauge("users_hashing_queued", "Passwords that wait.")
        self.hashing_active = self._gauge("users_hashing_active", "Threads that hash now.")
        self.hashing_threads = self._gauge("users_hashing_threads", "Threads that may hash.")
        self.connections = self._gauge(
            "users_database_connections", "Connections to the database in use.", "engine"
        )
        self.pool_size = self._gauge(
            "users_database_pool_size", "Connections to the database that may stay open.", "engine"
        )

    def _counter(self, name: str, help_text: str, *labels: str) -> Counter:
        return Counter(name, help_text, labels, registry=self._registry)

    def _gauge(self, name: str, help_text: str, *labels: str) -> Gauge:
        """Return a gauge of which the sum over all living processes is told; it begins at 0."""
        gauge = Gauge(name, help_text, labels, registry=self._registry, multiprocess_mode="livesum")
        if not labels:
            gauge.set(0)  # else a process goes on where one of before with its id has ended
        return gauge

    def waits(self) -> None:
        """Note that one more password waits."""
        self.hashing_queued.inc()

    def begins(self) -> None:
        """Note that a thread has begun with one."""
        self.hashing_queued.dec()
        self.hashing_active.inc()

    def ends(self, seconds: float) -> None:
        """Note that the thread has ended with it."""
        self.hashing_active.dec()
        self.hashing_seconds.observe(seconds)

    @property
    def registry(self) -> CollectorRegistry:
        """Where metrics of other subjects are registered."""
        return self._registry

    def exposition(self, *facts: Collector) -> bytes:
        """Return everything in Prometheus' text format, version 0.0.4."""
        told = CollectorRegistry()
        told.register(self._counts())
        for collector in facts:
            told.register(collector)
        return generate_latest(told)

    def _counts(self) -> Collector:
        if self._folder is None:
            return self._registry
        _forget_the_dead(Path(self._folder))
        return MultiProcessCollector(None, self._folder)


class ConnectionSampler:
    """Looks every few seconds how many connections of a process are in use.

    To count each as it goes out and comes back would cost every request more than all else here.
    """

    def __init__(self, metrics: Metrics, engines: Mapping[str, Engine]) -> None:
        self._metrics = metrics
        self._engines = engines
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self.sample()

    def sample(self) -> None:
        """Note how many are in use now, and may stay open."""
        for name, engine in self._engines.items():
            if isinstance(engine.pool, QueuePool):  # else nothing is kept open
                self._metrics.pool_size.labels(name).set(engine.pool.size())
                self._metrics.connections.labels(name).set(engine.pool.checkedout())

    def start(self) -> None:
        """Start the thread that looks; not before the first request, since servers fork."""
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._sample_for_ever, daemon=True)
                self._thread.start()

    def _sample_for_ever(self) -> None:
        clock = threading.Event()
        while not clock.wait(SAMPLE_INTERVAL):
            self.sample()


@dataclass(frozen=True)
class Facts(Collector):
    """What is the same whichever process tells it; None where it cannot be told."""

    version: str
    open_sessions: int | None

    def collect(self) -> Iterator[Metric]:
        """Yield what is known."""
        build = GaugeMetricFamily("users_build_info", "Always 1.", labels=["version"])
        build.add_metric([self.version], 1)
        yield build
        if self.open_sessions is not None:
            yield GaugeMetricFamily(
                "users_open_sessions", "Sessions that are open.", self.open_sessions
            )


@cache
def _choose_how_values_are_kept(process: int) -> None:
    """Look for the folder once more: the library does so when it is imported, which may be early.

    Once a process: two that write to the same files would overwrite each other. A process that
    finds no room there counts by itself, so that it serves all the same.
    """
    values.ValueClass = values.get_value_class()
    if folder := os.environ.get(VARIABLE):
        try:
            reserve(Path(folder), process)
        except OSError as error:
            log.warning("what this process counts is not told: %s", error.strerror)
            values.ValueClass = values.MutexValue


def _forget_the_dead(folder: Path) -> None:
    """Remove the gauges of processes that are no more; what they have counted stays."""
    for file in folder.glob("gauge_live*.db"):
        if not _is_alive(int(file.stem.rpartition("_")[2])):
            file.unlink(missing_ok=True)


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except OSError:  # none, or somebody else's by now
        return False
    return True
