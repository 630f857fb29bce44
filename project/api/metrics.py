"""Metrics for Prometheus.

The operations contain no metrics. Outcomes are read from responses and errors; started and ended
sessions are read from committed audit events.
"""

import logging
from collections.abc import Mapping
from datetime import datetime, timedelta
from threading import Lock
from typing import Any

from flask import Blueprint, Flask, Response, current_app
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4
from sqlalchemy.exc import SQLAlchemyError

from project.accounts import audit, one_time_tokens, outbox, sessions
from project.accounts.audit import Event
from project.accounts.messages import KINDS, PREFIX
from project.accounts.one_time_tokens import ISSUED, OUTCOMES, USED
from project.accounts.throttle.policies import POLICIES
from project.api.guard import authenticate_scraper
from project.clock import utcnow
from project.extensions import add_component, autocommit, db, get_component
from project.http.contract import serves
from project.http.openapi import iter_error_classes
from project.serving.hashing_pool import HashingPool
from project.telemetry.metrics import ConnectionSampler, Facts, Metrics
from project.telemetry.outbox_metrics import OutboxFacts, OutboxMetrics
from project.version import VERSION

COUNT_INTERVAL = timedelta(minutes=1)

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
"""The events that end sessions, with the detail that holds their number; None for one session."""

logger = logging.getLogger(__name__)

metrics_blueprint = Blueprint("metrics", __name__)


class OpenSessionCount:
    """The number of open sessions, counted at most once a minute, since counting is slow."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._counted_at: datetime | None = None
        self._number: int | None = None

    def number(self) -> int | None:
        """Return the number; None where the database does not respond."""
        with self._lock:
            now = utcnow()
            # The absolute difference, so that a clock that was set back does not stop the count.
            if self._counted_at is None or abs(now - self._counted_at) >= COUNT_INTERVAL:
                self._number, self._counted_at = self._count(), now
            return self._number

    def _count(self) -> int | None:
        try:
            return sessions.count_open()
        except SQLAlchemyError as error:
            logger.warning("cannot count the open sessions: %s", type(error).__name__)
            return None


@metrics_blueprint.get("/metrics")
@serves("text/plain")
@authenticate_scraper
def get_metrics() -> Response:
    """Return the metrics of all processes of the service, for Prometheus."""
    get_component(ConnectionSampler).sample()
    facts = Facts(VERSION, get_component(OpenSessionCount).number())
    body = get_component(Metrics).exposition(facts, *_outbox_facts())
    return Response(body, content_type=CONTENT_TYPE_PLAIN_0_0_4)


def init_app(app: Flask) -> None:
    """Collect metrics and serve them, where METRICS_TOKEN is set.

    Requires the database engines and the hashing pool.
    """
    if not app.config["METRICS_TOKEN"]:
        return
    metrics = Metrics()
    add_component(app, metrics)
    add_component(app, OpenSessionCount())
    add_component(app, _connection_sampler(app, metrics))
    _create_series(metrics)
    if not app.config["MAIL_URL"].is_off:
        _collect_mail(app, metrics)
    pool = get_component(HashingPool, app)
    pool.observer = metrics  # type: ignore[assignment]  # has the methods; telemetry is below serving
    metrics.hashing_threads.set(pool.size)
    audit.observe(app, make_session_counter(metrics))
    app.register_blueprint(metrics_blueprint)


def _collect_mail(app: Flask, metrics: Metrics) -> None:
    mail = OutboxMetrics(metrics.registry, _mail_kinds())
    add_component(app, mail)
    mail.create_tokens((kind.name for kind in KINDS.values() if kind.page), OUTCOMES)
    disown = (kind.disown_purpose for kind in KINDS.values() if kind.has_disown_link)
    mail.create_tokens(disown, (ISSUED, USED))
    one_time_tokens.observe(app, mail.count_token)


def _mail_kinds() -> list[str]:
    return [PREFIX + name for name in KINDS]


def _outbox_facts() -> list[OutboxFacts]:
    """Return the waiting messages; nothing without mail or without a database."""
    if current_app.config["MAIL_URL"].is_off:
        return []
    try:
        waiting = dict.fromkeys(_mail_kinds(), 0) | outbox.pending()
        return [OutboxFacts(waiting, outbox.overdue().total_seconds())]
    except SQLAlchemyError as error:
        logger.warning("cannot count the waiting messages: %s", type(error).__name__)
        return []


def _connection_sampler(app: Flask, metrics: Metrics) -> ConnectionSampler:
    with app.app_context():
        engines = {"autocommit": autocommit.engine, "transaction": db.engine}
        return ConnectionSampler(metrics, engines)


def _create_series(metrics: Metrics) -> None:
    """Create the series that alerts watch, at 0: Prometheus sees no increase in a new series."""
    for member in iter_error_classes():
        metrics.errors.labels(member.code)
    for policy in POLICIES:
        metrics.throttled.labels(policy.name)
    for outcome in ("succeeded", "failed", "throttled", "overloaded", "invalid", "unavailable"):
        metrics.logins.labels(outcome)
    for outcome in ("succeeded", "taken", "throttled", "overloaded", "invalid", "unavailable"):
        metrics.registrations.labels(outcome)


def make_session_counter(metrics: Metrics) -> audit.Observer:
    """Return an observer of audit events that counts started and ended sessions."""

    def count(event: Event, details: Mapping[str, Any]) -> None:
        if event in STARTS:
            metrics.sessions_started.inc()
        if event in ENDINGS:
            detail = ENDINGS[event]
            metrics.sessions_ended.inc(details[detail] if detail else 1)

    return count
