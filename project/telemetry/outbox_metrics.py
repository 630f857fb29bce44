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
    """What this process delivers."""

    def __init__(self, registry: CollectorRegistry, kinds: Iterable[str]) -> None:
        self._done = Counter(
            "users_outbox_done", "Messages that are done.", ["kind", "outcome"], registry=registry
        )
        self._attempts = Counter(
            "users_outbox_attempts", "Attempts to deliver a message.", ["stage", "class"],
            registry=registry,
        )  # fmt: skip
        self._delay = Histogram(
            "users_outbox_delay_seconds", "Seconds from queuing a message until it was sent.",
            buckets=DELAY_SECONDS, registry=registry,
        )  # fmt: skip
        self._down = Gauge(
            "users_outbox_transport_down", "Processes whose transport fails now.",
            registry=registry, multiprocess_mode="livesum",
        )  # fmt: skip
        self._tokens = Counter(
            "users_one_time_tokens", "One-time tokens.", ["purpose", "outcome"], registry=registry
        )
        self._down.set(0)
        self._attempts.labels("data", "2xx")
        for kind in kinds:  # what appears with 1 has not grown, to Prometheus
            for outcome in OUTCOMES:
                self._done.labels(kind, outcome)

    def attempted(self, stage: str, code_class: str) -> None:
        """Note an attempt: the stage at which it ended, and the class of the response."""
        self._attempts.labels(stage, code_class).inc()

    def finished(self, kind: str, outcome: str, seconds: float) -> None:
        """Note that a message is done, so long after it was queued."""
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
        """Note whether the transport fails."""
        self._down.set(int(is_down))


@dataclass(frozen=True, eq=False)
class OutboxFacts(Collector):
    """What waits in the outbox, whichever process reads it."""

    waiting: Mapping[str, int]
    oldest_seconds: float

    def collect(self) -> Iterator[Metric]:
        """Yield the gauges."""
        pending = GaugeMetricFamily(
            "users_outbox_pending", "Messages that are not done.", labels=["kind"]
        )
        for kind, number in self.waiting.items():
            pending.add_metric([kind], number)
        yield pending
        yield GaugeMetricFamily(
            "users_outbox_oldest_seconds", "Seconds the oldest message that is due has waited.",
            self.oldest_seconds,
        )  # fmt: skip
