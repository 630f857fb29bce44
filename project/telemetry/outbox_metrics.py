"""The metrics of mail: waiting messages, delivery attempts and outcomes, and one-time tokens."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import product

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

OUTCOMES = ("sent", "failed", "expired", "skipped")
DELAY_SECONDS = (0.1, 0.5, 1, 5, 15, 60, 300, 900, 3600, 14400)


class OutboxMetrics:
    """The metrics of the deliveries of this process."""

    def __init__(self, registry: CollectorRegistry, kinds: Iterable[str]) -> None:
        self._done = Counter(
            "users_outbox_done", "Finished messages.", ["kind", "outcome"], registry=registry
        )
        self._attempts = Counter(
            "users_outbox_attempts", "Delivery attempts.", ["stage", "class"],
            registry=registry,
        )  # fmt: skip
        self._delay = Histogram(
            "users_outbox_delay_seconds", "Seconds from queuing a message until it was sent.",
            buckets=DELAY_SECONDS, registry=registry,
        )  # fmt: skip
        self._down = Gauge(
            "users_outbox_transport_down", "Processes that currently cannot send mail.",
            registry=registry, multiprocess_mode="livesum",
        )  # fmt: skip
        self._tokens = Counter(
            "users_one_time_tokens", "One-time tokens.", ["purpose", "outcome"], registry=registry
        )
        self._down.set(0)
        self._attempts.labels("data", "2xx")
        for kind in kinds:  # Prometheus sees no increase in a counter that first appears with 1
            for outcome in OUTCOMES:
                self._done.labels(kind, outcome)

    def attempted(self, stage: str, code_class: str) -> None:
        """Count an attempt by the stage at which it ended and the class of the response."""
        self._attempts.labels(stage, code_class).inc()

    def finished(self, kind: str, outcome: str, seconds: float) -> None:
        """Count a finished message; observe the time since it was queued if it was sent."""
        self._done.labels(kind, outcome).inc()
        if outcome == "sent":
            self._delay.observe(seconds)

    def create_tokens(self, purposes: Iterable[str], outcomes: Iterable[str]) -> None:
        """Create the series of one-time tokens at 0: Prometheus sees no increase in a new one."""
        for purpose, outcome in product(purposes, outcomes):
            self._tokens.labels(purpose, outcome)

    def count_token(self, purpose: str, outcome: str) -> None:
        """Count a one-time token that was issued, used or rejected."""
        self._tokens.labels(purpose, outcome).inc()

    def transport(self, is_down: bool) -> None:
        """Record whether the transport currently fails."""
        self._down.set(int(is_down))


@dataclass(frozen=True, eq=False)
class OutboxFacts(Collector):
    """Metrics of the messages in the outbox, which are the same in every process."""

    waiting: Mapping[str, int]
    oldest_seconds: float

    def collect(self) -> Iterator[Metric]:
        """Yield the gauges."""
        pending = GaugeMetricFamily("users_outbox_pending", "Waiting messages.", labels=["kind"])
        for kind, number in self.waiting.items():
            pending.add_metric([kind], number)
        yield pending
        yield GaugeMetricFamily(
            "users_outbox_oldest_seconds", "Delay of the oldest message that is due, in seconds.",
            self.oldest_seconds,
        )  # fmt: skip
