"""Counts what the app does, and serves the counts to Prometheus.

Operations know nothing of it: outcomes are read from responses and errors, and how many sessions
have started and ended from the audit events that were committed.
"""

import logging
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from operator import attrgetter
from threading import Lock
from time import perf_counter
from typing import Any
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from flask import Blueprint, Flask, Request, Response, current_app, g
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4, Histogram
from sqlalchemy.exc import SQLAlchemyError

from project.accounts import audit, sessions
from project.accounts.audit import Event
from project.accounts.policies import POLICIES
from project.api.contract import serves
from project.api.document import family
from project.api.guard import authenticate_scraper
from project.clock import utcnow
from project.errors import ServiceError, TooManyAttempts
from project.extensions import db, reads
from project.telemetry.metrics import ConnectionSampler, Facts, Metrics
from project.version import VERSION

UNMATCHED = "unmatched"
METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
CENSUS_INTERVAL = timedelta(minutes=1)

OUTCOMES = {
    "invalid_credentials": "failed",
    "user_exists": "taken",
    "rate_limited": "throttled",
    "overloaded": "overloaded",
}
"""What a login or a registration has come to, by the code of its refusal."""

TRIED = {"/auth/login": attrgetter("logins"), "/auth/register": attrgetter("registrations")}
"""What counts the outcomes of a route."""

STARTS = {Event.LOGIN_SUCCEEDED, Event.USER_REGISTERED}
"""The events that start a session."""

ENDINGS = {
    Event.SESSION_ENDED: None,
    Event.REFRESH_TOKEN_REUSED: None,
    Event.SESSIONS_ENDED: "count",
    Event.USER_DEACTIVATED: "sessions_ended",
    Event.USER_DELETED: "sessions_ended",
}
"""The events that end sessions, and which detail says how many; without one it is one."""

log = logging.getLogger(__name__)
metrics_blueprint = Blueprint("metrics", __name__)


class Census:
    """How many sessions are open, counted once a minute at the most: it is a long read."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._taken_at: datetime | None = None
        self._number: int | None = None

    def number(self) -> int | None:
        """Return the number; None where the database could not tell it."""
        with self._lock:
            now = utcnow()
            # Either way: a clock that is set back must not keep the number as it is.
            if self._taken_at is None or abs(now - self._taken_at) >= CENSUS_INTERVAL:
                self._number, self._taken_at = self._take(), now
            return self._number

    def _take(self) -> int | None:
        try:
            return sessions.count_open()
        except SQLAlchemyError as error:
            log.warning("how many sessions are open is unknown: %s", type(error).__name__)
            return None


@metrics_blueprint.get("/metrics")
@serves("text/plain")
@authenticate_scraper
def get_metrics() -> Response:
    """Return the metrics of all processes of the service, for Prometheus."""
    census: Census = current_app.extensions["census"]
    sampler: ConnectionSampler = current_app.extensions["connection_sampler"]
    sampler.sample()
    body = _metrics().exposition(Facts(VERSION, census.number()))
    return Response(body, content_type=CONTENT_TYPE_PLAIN_0_0_4)


def init_app(app: Flask) -> None:
    """Count what the app does, and serve it, where METRICS_TOKEN lets somebody read it.

    Belongs after the engines and the hashing pool are there.
    """
    if not app.config["METRICS_TOKEN"]:
        return
    metrics = app.extensions["metrics"] = Metrics()
    app.extensions["census"] = Census()
    _begin_at_zero(metrics)
    pool = app.extensions["hashing_pool"]
    pool.watch = metrics
    metrics.hashing_threads.set(pool.size)
    with app.app_context():
        sampler = ConnectionSampler(metrics, {"reads": reads.engine, "writes": db.engine})
    app.extensions["connection_sampler"] = sampler
    audit.observe(app, metrics_of_sessions(metrics))
    app.wsgi_app = RequestCounter(app.wsgi_app, metrics, sampler)  # type: ignore[method-assign]
    app.register_blueprint(metrics_blueprint)


def _metrics() -> Metrics:
    metrics: Metrics = current_app.extensions["metrics"]
    return metrics


def _begin_at_zero(metrics: Metrics) -> None:
    """Make the series that alerts look at: what appears with 1 has not grown, to Prometheus."""
    for member in family():
        metrics.refusals.labels(member.code)
    for policy in POLICIES:
        metrics.throttled.labels(policy.name)
    for outcome in ("succeeded", "failed", "throttled", "overloaded", "invalid", "unavailable"):
        metrics.logins.labels(outcome)
    for outcome in ("succeeded", "taken", "throttled", "overloaded", "invalid", "unavailable"):
        metrics.registrations.labels(outcome)


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
        refusal: ServiceError | None = g.get("refusal") if status >= "400" else None
        if refusal is not None:
            _count_refusal(self._metrics, refusal)
        if asked.method == "POST" and route in TRIED:
            TRIED[route](self._metrics).labels(_outcome(refusal)).inc()

    def _find(self, route: str, method: str, status: str) -> Histogram:
        """Return the series of a kind of answer; a client must not make ever new ones."""
        self._sampler.start()
        known = method if method in METHODS else "other"
        series = self._metrics.requests.labels(route, known, status)
        if known == method:
            self._series[route, method, status] = series
        return series


def _count_refusal(metrics: Metrics, refusal: ServiceError) -> None:
    metrics.refusals.labels(refusal.code).inc()
    if isinstance(refusal, TooManyAttempts):
        metrics.throttled.labels(refusal.policy).inc()


def _outcome(refusal: ServiceError | None) -> str:
    if refusal is None:
        return "succeeded"
    return OUTCOMES.get(refusal.code) or ("unavailable" if refusal.status >= 500 else "invalid")


def metrics_of_sessions(metrics: Metrics) -> audit.Observer:
    """Return an observer that counts the sessions that start and end."""

    def count(event: Event, details: Mapping[str, Any]) -> None:
        if event in STARTS:
            metrics.sessions_started.inc()
        if event in ENDINGS:
            how_many = ENDINGS[event]
            metrics.sessions_ended.inc(details[how_many] if how_many else 1)

    return count
