"""Read /metrics as Prometheus does."""

from collections.abc import Iterator
from dataclasses import dataclass

from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from project.security import digests
from project.tests.utils import Caller, Reply

TOKEN = "the token of Prometheus"
DIGEST = digests.sha256(TOKEN)


@dataclass(frozen=True)
class Scrape:
    """The metrics at one time."""

    families: tuple[Metric, ...]

    def samples(self) -> Iterator[Sample]:
        """Yield every sample."""
        for family in self.families:
            yield from family.samples

    def value(self, name: str, **labels: str) -> float:
        """Return the sum of the samples with this name and these labels."""
        return sum(
            sample.value
            for sample in self.samples()
            if sample.name == name and labels.items() <= sample.labels.items()
        )


def request_metrics(caller: Caller, token: str | None = TOKEN) -> Reply:
    """Request the metrics."""
    return caller.get("/metrics", token)


def scrape(caller: Caller) -> Scrape:
    """Return the current metrics."""
    reply = request_metrics(caller)
    assert reply.status == 200, reply
    return Scrape(tuple(text_string_to_metric_families(reply.raw.decode())))
