"""WSGI middleware that counts requests, errors, logins and registrations."""

from collections.abc import Iterable
from operator import attrgetter
from time import perf_counter
from typing import Any
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from flask import Request, g
from prometheus_client import Histogram

from project.errors import ServiceError, TooManyAttempts
from project.telemetry.metrics import ConnectionSampler, Metrics

UNMATCHED = "unmatched"


METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}


OUTCOMES = {
    "invalid_credentials": "failed",
    "user_exists": "taken",
    "rate_limited": "throttled",
    "overloaded": "overloaded",
}
"""What a login or a registration has come to, by the code of its refusal."""


TRIED = {"/auth/login": attrgetter("logins"), "/auth/register": attrgetter("registrations")}
"""What counts the outcomes of a route."""


class RequestCounter:
    """Counts every request that passes through to the app.

    As WSGI middleware, and with the series of each kind of answer at hand: Flask's hooks cost
    several times as much.
    """

    def __init__(self, app: WSGIApplication, metrics: Metrics, sampler: ConnectionSampler) -> None:
        self._app = app
        self._metrics = metrics
        self._sampler = sampler
        self._series: dict[tuple[str, str, str], Histogram] = {}

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer as the app does; count when the answer begins, which is whole by then."""
        began_at = perf_counter()

        def start(status: str, headers: list[tuple[str, str]], *more: Any) -> Any:
            self._count(environ["werkzeug.request"], status[:3], perf_counter() - began_at)
            return start_response(status, headers, *more)

        return self._app(environ, start)

    def _count(self, asked: Request, status: str, seconds: float) -> None:
        route = asked.url_rule.rule if asked.url_rule else UNMATCHED
        kind = (route, asked.method, status)
        (self._series.get(kind) or self._find(*kind)).observe(seconds)
        error: ServiceError | None = g.get("error") if status >= "400" else None
        if error is not None:
            _count_refusal(self._metrics, error)
        if asked.method == "POST" and route in TRIED:
            TRIED[route](self._metrics).labels(_outcome(error)).inc()

    def _find(self, route: str, method: str, status: str) -> Histogram:
        """Return the series of a kind of answer; a client must not make ever new ones."""
        self._sampler.start()
        known = method if method in METHODS else "other"
        series = self._metrics.requests.labels(route, known, status)
        if known == method:
            self._series[route, method, status] = series
        return series


def _count_refusal(metrics: Metrics, error: ServiceError) -> None:
    metrics.errors.labels(error.code).inc()
    if isinstance(error, TooManyAttempts):
        metrics.throttled.labels(error.policy).inc()


def _outcome(error: ServiceError | None) -> str:
    if error is None:
        return "succeeded"
    return OUTCOMES.get(error.code) or ("unavailable" if error.status >= 500 else "invalid")
