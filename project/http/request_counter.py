"""WSGI middleware that counts requests, errors, logins and registrations."""

from collections.abc import Iterable
from operator import attrgetter
from time import perf_counter
from typing import Any
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from flask import Flask, Request, g
from prometheus_client import Histogram

from project.errors import ServiceError, TooManyAttempts
from project.extensions import get_component
from project.telemetry.metrics import ConnectionSampler, Metrics

UNMATCHED = "unmatched"
METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}

OUTCOMES_BY_CODE = {
    "invalid_credentials": "failed",
    "user_exists": "taken",
    "rate_limited": "throttled",
    "overloaded": "overloaded",
}
"""The outcome of a login or a registration, by its error code."""

OUTCOME_COUNTERS = {
    "/auth/login": attrgetter("logins"),
    "/auth/register": attrgetter("registrations"),
}
"""The counter of outcomes, by route."""


class RequestCounter:
    """WSGI middleware that counts every request.

    It caches the histogram of each route, method and status: looking one up costs more.
    """

    def __init__(self, app: WSGIApplication, metrics: Metrics, sampler: ConnectionSampler) -> None:
        self._app = app
        self._metrics = metrics
        self._sampler = sampler
        self._histograms: dict[tuple[str, str, str], Histogram] = {}

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Call the app, and count the request when its response starts."""
        began_at = perf_counter()

        def start(status: str, headers: list[tuple[str, str]], *more: Any) -> Any:
            self._count(environ["werkzeug.request"], status[:3], perf_counter() - began_at)
            return start_response(status, headers, *more)

        return self._app(environ, start)

    def _count(self, request: Request, status: str, seconds: float) -> None:
        route = request.url_rule.rule if request.url_rule else UNMATCHED
        labels = (route, request.method, status)
        (self._histograms.get(labels) or self._find_histogram(*labels)).observe(seconds)
        error: ServiceError | None = g.get("error") if status >= "400" else None
        if error is not None:
            _count_error(self._metrics, error)
        if request.method == "POST" and route in OUTCOME_COUNTERS:
            OUTCOME_COUNTERS[route](self._metrics).labels(_outcome(error)).inc()

    def _find_histogram(self, route: str, method: str, status: str) -> Histogram:
        """Return the histogram of these labels; an unknown method counts as `other`.

        Otherwise a client could create histograms without limit.
        """
        self._sampler.start()
        known = method if method in METHODS else "other"
        histogram = self._metrics.requests.labels(route, known, status)
        if known == method:
            self._histograms[route, method, status] = histogram
        return histogram


def count(app: Flask) -> WSGIApplication:
    """Return the app's WSGI callable with a counter around it, where metrics are enabled."""
    if not app.config["METRICS_TOKEN"]:
        return app.wsgi_app
    metrics, sampler = get_component(Metrics, app), get_component(ConnectionSampler, app)
    return RequestCounter(app.wsgi_app, metrics, sampler)


def _count_error(metrics: Metrics, error: ServiceError) -> None:
    metrics.errors.labels(error.code).inc()
    if isinstance(error, TooManyAttempts):
        metrics.throttled.labels(error.policy).inc()


def _outcome(error: ServiceError | None) -> str:
    if error is None:
        return "succeeded"
    return OUTCOMES_BY_CODE.get(error.code) or ("unavailable" if error.status >= 500 else "invalid")
