"""The loop that delivers: claim a message, send it, record what became of it.

Nothing is ever "in progress": a claim only moves the moment at which the message is due, so that
a process that is killed loses no message, and nobody has to look after what it left behind.
"""

import logging
import random
import threading
from datetime import datetime, timedelta
from typing import Protocol

from flask import Flask
from sqlalchemy.exc import SQLAlchemyError

from project.accounts import outbox
from project.accounts.messages import Claimed, Skipped
from project.clock import utcnow
from project.database import failures
from project.delivery import claims
from project.delivery.outcomes import Deferred, DeliveryError, Rejected, TransportDown
from project.models import Outcome

MAX_CLAIMS = 20
"""Claims without any outcome, after which a message is taken for what kills its process."""

BACKOFF = tuple(timedelta(seconds=seconds) for seconds in (1, 2, 5, 10, 30, 60, 120, 300))
"""How long a process rests after each failure of its transport, until a message goes through."""

SPREAD = 0.2
"""The part by which a wait is made longer or shorter, so that processes do not try together."""

POLL = timedelta(seconds=15)
"""How often the loop looks for what is due; the process's own commits wake it up at once."""

NO_OUTCOME = f"claimed {MAX_CLAIMS} times without an outcome"

logger = logging.getLogger(__name__)


class Sender(Protocol):
    """Sends one kind of messages, such as mail."""

    prefix: str

    def send(self, message: Claimed) -> None:
        """Send a message. Raises Skipped or a DeliveryError."""

    def rest(self) -> None:
        """Close connections that are not needed for now; called when nothing is due."""

    def close(self) -> None:
        """Close all connections."""


class Observer(Protocol):
    """Counts what is delivered; the metrics are one."""

    def attempted(self, stage: str, code_class: str) -> None:
        """Note an attempt: the stage at which it ended, and the class of the response."""

    def finished(self, kind: str, outcome: str, seconds: float) -> None:
        """Note that a message is done, so long after it was queued."""

    def transport(self, is_down: bool) -> None:
        """Note whether the transport fails."""


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
        """Deliver what is due now, until nothing is or the transport fails; return the number."""
        finished = 0
        with self.app.app_context():
            while not self._stopping.is_set() and self._backoff() <= timedelta(0):
                message = claims.claim(self.sender.prefix)
                if message is None:
                    break
                finished += self._deliver(message)
        return finished

    def run(self) -> None:
        """Deliver until `stop` is called; the message in progress is finished first."""
        outbox.on_commit.append(self._wake.set)
        try:
            while not self._stopping.is_set():
                self._wake.wait(self._cycle().total_seconds())
                self._wake.clear()
        finally:
            outbox.on_commit.remove(self._wake.set)
            self.sender.close()

    def stop(self) -> None:
        """End the loop; called by another thread or a signal."""
        self._stopping.set()
        self._wake.set()

    def _cycle(self) -> timedelta:
        """Deliver what is due; return how long to wait for more."""
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
        """Deliver one message; return whether it is done."""
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
        self._recover()
        self._attempted("data", "2xx")
        return self._finish(message, Outcome.SENT)

    def _send(self, message: Claimed) -> None:
        try:
            self.sender.send(message)
        except (Skipped, DeliveryError, SQLAlchemyError):
            raise
        except Exception as error:  # no fault in one message may stop all others
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
        """Rest for a while: the cause is not the message. Logged once, until one goes through."""
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
        """Return how long this process still rests; a clock that is set back changes nothing."""
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
