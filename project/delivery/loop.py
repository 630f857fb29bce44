"""The delivery loop: claim a message, send it, record its outcome.

Messages have no "in progress" state. A claim postpones the time at which the message is due, so
if the process is killed, the message becomes due again without any cleanup.
"""

import logging
import random
import threading
from datetime import datetime, timedelta
from typing import Protocol

from flask import Flask
from sqlalchemy.exc import OperationalError, SQLAlchemyError

from project.accounts import outbox
from project.accounts.messages import Claimed, Skipped
from project.clock import utcnow
from project.database import failures
from project.delivery import claims
from project.delivery.outcomes import Deferred, DeliveryError, Rejected, TransportDown
from project.models import Outcome

MAX_CLAIMS = 20
"""Claims without an outcome before a message fails, since it may be crashing the process."""

BACKOFF = tuple(timedelta(seconds=seconds) for seconds in (1, 2, 5, 10, 30, 60, 120, 300))
"""Pauses after consecutive failures of the transport; a sent message resets them."""

SPREAD = 0.2
"""The random variation of a wait, as a fraction, so that processes do not retry in step."""

POLL = timedelta(seconds=15)
"""The polling interval; a commit in the same process wakes the loop immediately."""

NO_OUTCOME = f"claimed {MAX_CLAIMS} times without an outcome"

logger = logging.getLogger(__name__)


class Sender(Protocol):
    """Sends messages of one type, such as mail."""

    prefix: str

    def send(self, message: Claimed) -> None:
        """Send a message. Raises Skipped or a DeliveryError."""

    def rest(self) -> None:
        """Close idle connections; called when no message is due."""

    def close(self) -> None:
        """Close all connections."""


class Observer(Protocol):
    """Receives the events of the delivery, for metrics."""

    def attempted(self, stage: str, code_class: str) -> None:
        """Record an attempt: its last stage and the class of the response."""

    def finished(self, kind: str, outcome: str, seconds: float) -> None:
        """Record the outcome of a message and the seconds since it was queued."""

    def transport(self, is_down: bool) -> None:
        """Record whether the transport is down."""


class Deliverer:
    """Delivers the messages of one sender, one at a time."""

    def __init__(self, app: Flask, sender: Sender, observer: Observer | None) -> None:
        self.app = app
        self.sender = sender
        self.observer = observer
        self.failures = 0
        self.resumes_at: datetime | None = None
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._chance = random.SystemRandom()

    def deliver_due(self) -> int:
        """Deliver all due messages, or until the transport fails; return how many are done."""
        finished = 0
        with self.app.app_context():
            while not self._stopping.is_set() and self._backoff() <= timedelta(0):
                message = claims.claim(self.sender.prefix)
                if message is None:
                    break
                finished += self._deliver(message)
        return finished

    def run(self) -> None:
        """Deliver messages until `stop` is called; the current message is finished first."""
        outbox.on_commit.append(self._wake.set)
        try:
            while not self._stopping.is_set():
                self._wake.wait(self._cycle().total_seconds())
                self._wake.clear()
        finally:
            outbox.on_commit.remove(self._wake.set)
            self.sender.close()

    def stop(self) -> None:
        """Stop the loop; called from another thread or a signal handler."""
        self._stopping.set()
        self._wake.set()

    def _cycle(self) -> timedelta:
        """Deliver the due messages; return the time to wait before the next cycle."""
        try:
            self.deliver_due()
            self.sender.rest()
            with self.app.app_context():
                due_at = claims.next_due_at(self.sender.prefix)
        except SQLAlchemyError as error:
            self._fail(f"database {failures.describe(error)}")
            return self._backoff()
        until_due = POLL if due_at is None else max(due_at - utcnow(), timedelta(seconds=0.1))
        return max(self._backoff(), min(until_due, self._spread(POLL)))

    def _deliver(self, message: Claimed) -> bool:
        """Attempt one message; return whether it is done."""
        if message.attempts - message.deferrals > MAX_CLAIMS:
            return self._finish(message, Outcome.FAILED, NO_OUTCOME)
        if message.expires_at <= utcnow():
            return self._finish(message, Outcome.EXPIRED)
        try:
            self._send(message)
        except Skipped as why:
            return self._finish(message, Outcome.SKIPPED, str(why))
        except DeliveryError as error:
            return self._failed(message, error)
        except OperationalError:  # not the message's fault: the database is away or locked
            claims.release(message)
            raise
        self._recover()
        self._attempted("data", "2xx")
        return self._finish(message, Outcome.SENT)

    def _send(self, message: Claimed) -> None:
        try:
            self.sender.send(message)
        except (Skipped, DeliveryError, SQLAlchemyError):
            raise
        except Exception as error:  # one broken message must not stop the others
            logger.exception("a message cannot be made", extra={"kind": message.kind})
            raise Deferred("make", type(error).__name__) from error

    def _failed(self, message: Claimed, error: DeliveryError) -> bool:
        self._attempted(error.stage, error.code_class)
        if isinstance(error, TransportDown):
            claims.release(message)
            self._fail(str(error))
            return False
        if isinstance(error, Rejected):
            self._recover()
            return self._finish(message, Outcome.FAILED, str(error))
        claims.defer(message, str(error))
        return False

    def _finish(self, message: Claimed, outcome: Outcome, reason: str = "") -> bool:
        is_mine = claims.finish(message, outcome, reason)
        seconds = (utcnow() - message.created_at).total_seconds()
        if is_mine and self.observer:
            self.observer.finished(message.kind, outcome, seconds)
        if is_mine and outcome is Outcome.FAILED:
            logger.warning("a message failed", extra={"kind": message.kind, "reason": reason})
        return is_mine

    def _fail(self, reason: str) -> None:
        """Start a backoff after a failure of the transport or the database; log only the first."""
        wait = self._spread(BACKOFF[min(self.failures, len(BACKOFF) - 1)])
        self.resumes_at = utcnow() + wait
        self.failures += 1
        if self.failures == 1:
            logger.warning("nothing can be delivered", extra={"reason": reason})
            self._transport(is_down=True)

    def _recover(self) -> None:
        if self.failures:
            logger.warning("delivery works again", extra={"failures": self.failures})
            self.failures, self.resumes_at = 0, None
            self._transport(is_down=False)

    def _backoff(self) -> timedelta:
        """Return the remaining backoff; zero if it is implausibly long: the clock was set back."""
        left = self.resumes_at - utcnow() if self.resumes_at else timedelta(0)
        return left if left <= BACKOFF[-1] * (1 + SPREAD) else timedelta(0)

    def _spread(self, wait: timedelta) -> timedelta:
        return wait * self._chance.uniform(1 - SPREAD, 1 + SPREAD)

    def _attempted(self, stage: str, code_class: str) -> None:
        if self.observer:
            self.observer.attempted(stage, code_class)

    def _transport(self, is_down: bool) -> None:
        if self.observer:
            self.observer.transport(is_down)
