"""Reads /metrics as Prometheus does."""

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
    """What was told at one time."""

    families: tuple[Metric, ...]

    def samples(self) -> Iterator[Sample]:
        """Yield every sample."""
        for iter_error_classes in self.families:
            yield from iter_error_classes.samples

    def value(self, name: str, **labels: str) -> float:
        """Return the sum of the samples of this name that have these labels."""
        return sum(
            sample.value
            for sample in self.samples()
            if sample.name == name and labels.items() <= sample.labels.items()
        )


def ask(caller: Caller, token: str | None = TOKEN) -> Reply:
    """Ask for the metrics."""
    return caller.get("/metrics", token)


def scrape(caller: Caller) -> Scrape:
    """Return what is told now."""
    reply = ask(caller)
    assert reply.status == 200, reply
    return Scrape(tuple(text_string_to_metric_families(reply.raw.decode())))
