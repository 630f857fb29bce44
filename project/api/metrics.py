"""Counts what the app does, and serves the counts to Prometheus.

Operations know nothing of it: outcomes are read from responses and errors, and how many sessions
have started and ended from the audit events that were committed.
"""

import logging
from collections.abc import Mapping
from datetime import datetime, timedelta
from threading import Lock
from typing import Any

from flask import Blueprint, Flask, Response, current_app
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4
from sqlalchemy.exc import SQLAlchemyError

from project.accounts import audit, outbox, sessions
from project.accounts.audit import Event
from project.accounts.messages import KINDS, PREFIX
from project.accounts.throttle.policies import POLICIES
from project.api.guard import authenticate_scraper
from project.clock import utcnow
from project.extensions import autocommit, db
from project.http.contract import serves
from project.http.openapi import error_classes
from project.http.request_counter import RequestCounter
from project.telemetry.metrics import ConnectionSampler, Facts, Metrics
from project.telemetry.outbox_metrics import OutboxFacts, OutboxMetrics
from project.version import VERSION

CENSUS_INTERVAL = timedelta(minutes=1)


STARTS = {Event.LOGIN_SUCCEEDED, Event.USER_REGISTERED, Event.PASSWORD_CHANGED}
"""The events that start a session."""


ENDINGS = {
    Event.SESSION_ENDED: None,
    Event.REFRESH_TOKEN_REUSED: None,
    Event.SESSIONS_ENDED: "count",
    Event.PASSWORD_RESET_CONFIRMED: "sessions_ended",
    Event.USER_DEACTIVATED: "sessions_ended",
    Event.USER_DELETED: "sessions_ended",
}
"""The events that end sessions, and which detail says how many; without one it is one."""


log = logging.getLogger(__name__)


metrics_blueprint = Blueprint("metrics", __name__)


class OpenSessionCount:
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
    census: OpenSessionCount = current_app.extensions["census"]
    sampler: ConnectionSampler = current_app.extensions["connection_sampler"]
    sampler.sample()
    facts = Facts(VERSION, census.number())
    body = _metrics().exposition(facts, *_outbox_facts())
    return Response(body, content_type=CONTENT_TYPE_PLAIN_0_0_4)


def init_app(app: Flask) -> None:
    """Count what the app does, and serve it, where METRICS_TOKEN lets somebody read it.

    Belongs after the engines and the hashing pool are there.
    """
    if not app.config["METRICS_TOKEN"]:
        return
    metrics = app.extensions["metrics"] = Metrics()
    app.extensions["census"] = OpenSessionCount()
    _begin_at_zero(metrics)
    if not app.config["MAIL_URL"].is_off:
        app.extensions["outbox_metrics"] = OutboxMetrics(metrics.registry, _mail_kinds())
    pool = app.extensions["hashing_pool"]
    pool.watch = metrics
    metrics.hashing_threads.set(pool.size)
    with app.app_context():
        sampler = ConnectionSampler(
            metrics, {"autocommit": autocommit.engine, "transaction": db.engine}
        )
    app.extensions["connection_sampler"] = sampler
    audit.observe(app, metrics_of_sessions(metrics))
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
    for member in error_classes():
        metrics.errors.labels(member.code)
    for policy in POLICIES:
        metrics.throttled.labels(policy.name)
    for outcome in ("succeeded", "failed", "throttled", "overloaded", "invalid", "unavailable"):
        metrics.logins.labels(outcome)
    for outcome in ("succeeded", "taken", "throttled", "overloaded", "invalid", "unavailable"):
        metrics.registrations.labels(outcome)


def metrics_of_sessions(metrics: Metrics) -> audit.Observer:
    """Return an observer that counts the sessions that start and end."""

    def count(event: Event, details: Mapping[str, Any]) -> None:
        if event in STARTS:
            metrics.sessions_started.inc()
        if event in ENDINGS:
            how_many = ENDINGS[event]
            metrics.sessions_ended.inc(details[how_many] if how_many else 1)

    return count
