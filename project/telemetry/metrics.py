"""The metrics of the service, and their exposition to Prometheus.

If the server has created a metrics folder, each process stores its values in files there, and every
process exposes the sum over all processes, including those that have ended. Without a folder a
process exposes its own values. Labels have few values, and none comes from a client or a user: a
route is labelled by its rule, never by the path.
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
"""Seconds between two samples of the connection pools. Prometheus scrapes less often."""

log = logging.getLogger(__name__)

# prometheus_client exposes creation times for a single process, but not for several.
disable_created_metrics()


class Metrics:
    """The metrics of one app in this process. They also observe the hashing pool (PoolObserver)."""

    def __init__(self) -> None:
        _choose_storage(os.getpid())
        self._folder = os.environ.get(VARIABLE)
        self._registry = CollectorRegistry()
        self.requests = Histogram(
            "users_request_seconds", "Duration of requests in seconds.",
            ["route", "method", "status"], buckets=REQUEST_SECONDS,
            registry=self._registry,
        )  # fmt: skip
        self.errors = self._counter("users_errors", "Error responses by error code.", "code")
        self.throttled = self._counter(
            "users_throttled", "Attempts rejected by a rate limit.", "policy"
        )
        self.logins = self._counter("users_logins", "Login attempts.", "outcome")
        self.registrations = self._counter(
            "users_registrations", "Registration attempts.", "outcome"
        )
        self.sessions_started = self._counter("users_sessions_started", "Sessions started.")
        self.sessions_ended = self._counter(
            "users_sessions_ended", "Sessions ended before they expired."
        )
        self.hashing_seconds = Histogram(
            "users_hashing_seconds", "Duration of password hashing in seconds.",
            buckets=HASHING_SECONDS, registry=self._registry,
        )  # fmt: skip
        self.hashing_queued = self._gauge("users_hashing_queued", "Hashes waiting for a thread.")
        self.hashing_active = self._gauge("users_hashing_active", "Hashing threads at work.")
        self.hashing_threads = self._gauge("users_hashing_threads", "Hashing threads.")
        self.connections = self._gauge(
            "users_database_connections", "Database connections in use.", "engine"
        )
        self.pool_size = self._gauge(
            "users_database_pool_size", "Database connections that the pool keeps open.", "engine"
        )

    def _counter(self, name: str, help_text: str, *labels: str) -> Counter:
        return Counter(name, help_text, labels, registry=self._registry)

    def _gauge(self, name: str, help_text: str, *labels: str) -> Gauge:
        """Return a gauge that starts at 0 and is summed over all live processes."""
        gauge = Gauge(name, help_text, labels, registry=self._registry, multiprocess_mode="livesum")
        if not labels:
            gauge.set(0)  # an ended process of the same id may have left a value in the file
        return gauge

    def on_queued(self) -> None:
        """Count a queued hash."""
        self.hashing_queued.inc()

    def on_started(self) -> None:
        """Count a queued hash as active."""
        self.hashing_queued.dec()
        self.hashing_active.inc()

    def on_finished(self, seconds: float) -> None:
        """Count the end of a hash, and observe its duration."""
        self.hashing_active.dec()
        self.hashing_seconds.observe(seconds)

    @property
    def registry(self) -> CollectorRegistry:
        """The registry, for metrics of other subjects."""
        return self._registry

    def exposition(self, *facts: Collector) -> bytes:
        """Return all metrics in Prometheus' text format, version 0.0.4."""
        exposed = CollectorRegistry()
        for collector in (self._collector(), *facts):
            exposed.register(collector)
        return generate_latest(exposed)

    def _collector(self) -> Collector:
        if self._folder is None:
            return self._registry
        _remove_ended_gauges(Path(self._folder))
        return MultiProcessCollector(None, self._folder)


class ConnectionSampler:
    """Samples every few seconds how many database connections of a process are in use.

    Counting each checkout and checkin would cost a request more than all other metrics together.
    """

    def __init__(self, metrics: Metrics, engines: Mapping[str, Engine]) -> None:
        self._metrics = metrics
        self._engines = engines
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self.sample()

    def sample(self) -> None:
        """Set the gauges for the connections in use and the size of the pool."""
        for name, engine in self._engines.items():
            if isinstance(engine.pool, QueuePool):  # other pools keep no connection open
                self._metrics.pool_size.labels(name).set(engine.pool.size())
                self._metrics.connections.labels(name).set(engine.pool.checkedout())

    def start(self) -> None:
        """Start the thread, at the first request: threads do not survive the server's fork."""
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, daemon=True)
                self._thread.start()

    def _run(self) -> None:
        clock = threading.Event()
        while not clock.wait(SAMPLE_INTERVAL):
            self.sample()


@dataclass(frozen=True)
class Facts(Collector):
    """Metrics that are the same in every process; None where a value is unavailable."""

    version: str
    open_sessions: int | None

    def collect(self) -> Iterator[Metric]:
        """Yield the available metrics."""
        build = GaugeMetricFamily("users_build_info", "Always 1.", labels=["version"])
        build.add_metric([self.version], 1)
        yield build
        if self.open_sessions is not None:
            yield GaugeMetricFamily("users_open_sessions", "Open sessions.", self.open_sessions)


@cache
def _choose_storage(process: int) -> None:
    """Store values in the metrics folder if there is one, otherwise in memory.

    prometheus_client chooses when it is imported, which may be before the folder is created. The
    choice is made once for each process, since two processes would overwrite each other's files.
    If the disk is full, the process stores its values in memory and serves all the same.
    """
    values.ValueClass = values.get_value_class()
    if folder := os.environ.get(VARIABLE):
        try:
            reserve(Path(folder), process)
        except OSError as error:
            log.warning("metrics of this process are unavailable: %s", error.strerror)
            values.ValueClass = values.MutexValue


def _remove_ended_gauges(folder: Path) -> None:
    """Remove the gauges of processes that have ended. Their counters stay."""
    for file in folder.glob("gauge_live*.db"):
        if not _is_alive(int(file.stem.rpartition("_")[2])):
            file.unlink(missing_ok=True)


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except OSError:  # it has ended, or its id belongs to another user's process
        return False
    return True
