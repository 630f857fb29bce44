"""Counts what the app does, and serves the counts to Prometheus.

Deeds know nothing of it: outcomes are read from answers and refusals, and how many sessions have
started and ended from what was committed.
"""

import logging
from collections import Counter
from collections.abc import Iterable
from datetime import datetime, timedelta
from operator import attrgetter
from threading import Lock
from time import perf_counter
from typing import Any
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from flask import Blueprint, Flask, Request, Response, current_app, g
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4, Histogram
from sqlalchemy import event
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session as DatabaseSession
from sqlalchemy.orm import UOWTransaction

from project.accounts import outbox, sessions
from project.accounts.messages import KINDS, PREFIX
from project.accounts.throttle import Scope
from project.api.contract import serves
from project.api.document import API_VERSION, family
from project.api.guard import authenticate_scraper
from project.api.models import Revocation
from project.clock import utcnow
from project.errors import ServiceError, TooManyAttempts
from project.extensions import db, reads
from project.telemetry.metrics import ConnectionSampler, Facts, Metrics
from project.telemetry.outbox_metrics import OutboxFacts, OutboxMetrics

UNMATCHED = "unmatched"
METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
CENSUS_INTERVAL = timedelta(minutes=1)
COMMITTED = "metrics.committed"

OUTCOMES = {
    "invalid_credentials": "failed",
    "user_exists": "taken",
    "rate_limited": "throttled",
    "overloaded": "overloaded",
}
"""What a login or a registration has come to, by the code of its refusal."""

TRIED = {"/auth/login": attrgetter("logins"), "/auth/register": attrgetter("registrations")}
"""What counts the outcomes of a route."""

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
    """Tell Prometheus what the service counts, over all of its processes."""
    census: Census = current_app.extensions["census"]
    sampler: ConnectionSampler = current_app.extensions["connection_sampler"]
    sampler.sample()
    facts = Facts(API_VERSION, census.number())
    body = _metrics().exposition(facts, *_outbox_facts())
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
    if not app.config["MAIL_URL"].is_off:
        app.extensions["outbox_metrics"] = OutboxMetrics(metrics.registry, _mail_kinds())
    pool = app.extensions["hashing_pool"]
    pool.watch = metrics
    metrics.hashing_threads.set(pool.size)
    with app.app_context():
        sampler = ConnectionSampler(metrics, {"reads": reads.engine, "writes": db.engine})
    app.extensions["connection_sampler"] = sampler
    app.wsgi_app = RequestCounter(app.wsgi_app, metrics, sampler)  # type: ignore[method-assign]
    app.register_blueprint(metrics_blueprint)


def _mail_kinds() -> list[str]:
    return [PREFIX + name for name in KINDS]


def _outbox_facts() -> list[OutboxFacts]:
    """Return what waits in the outbox; nothing without mail, or while the database is away."""
    if "outbox_metrics" not in current_app.extensions:
        return []
    try:
        waiting = dict.fromkeys(_mail_kinds(), 0) | outbox.pending()
        return [OutboxFacts(waiting, outbox.overdue().total_seconds())]
    except SQLAlchemyError as error:
        log.warning("how many messages wait is unknown: %s", type(error).__name__)
        return []


def _metrics() -> Metrics:
    metrics: Metrics = current_app.extensions["metrics"]
    return metrics


def _begin_at_zero(metrics: Metrics) -> None:
    """Make the series that alerts look at: what appears with 1 has not grown, to Prometheus."""
    for member in family():
        metrics.refusals.labels(member.code)
    for scope in Scope:
        metrics.throttled.labels(scope.value)
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


@event.listens_for(db.session, "after_flush")
def _note_sessions(session: DatabaseSession, _context: UOWTransaction) -> None:
    noted = session.info.setdefault(COMMITTED, Counter())
    noted.update(type(row) for row in session.new)


@event.listens_for(db.session, "after_rollback")
def _forget_sessions(session: DatabaseSession) -> None:
    session.info.pop(COMMITTED, None)
    session.info.pop(sessions.STARTED, None)


@event.listens_for(db.session, "after_commit")
def _count_sessions(session: DatabaseSession) -> None:
    """Count what has been committed, and is so for sure: every session that started or ended."""
    noted = session.info.pop(COMMITTED, Counter())
    started = session.info.pop(sessions.STARTED, 0)
    if "metrics" in current_app.extensions:
        _metrics().sessions_started.inc(started)
        _metrics().sessions_ended.inc(noted[Revocation])
