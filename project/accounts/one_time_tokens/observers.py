"""Observers of one-time tokens, for metrics."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

from flask import Flask, current_app

from project.errors import CodeInvalid
from project.extensions import run_after_commit

ISSUED, USED, REJECTED = OUTCOMES = ("issued", "used", "rejected")
OBSERVERS = "one_time_tokens.observers"

Observer = Callable[[str, str], None]
"""Called with the purpose of a token and one of OUTCOMES."""


def observe(app: Flask, observer: Observer) -> None:
    """Call the observer with every token that is issued or used, and every rejection.

    Rejected "This was not me" links are not observed, since their purpose is unknown.
    """
    app.extensions.setdefault(OBSERVERS, []).append(observer)


def publish(purpose: str, outcome: str) -> None:
    """Call the observers after the commit of the caller's transaction."""
    run_after_commit(partial(_call_observers, purpose, outcome))


@contextmanager
def observing_rejection(purpose: str) -> Iterator[None]:
    """Call the observers if the block raises CodeInvalid."""
    try:
        yield
    except CodeInvalid:
        _call_observers(purpose, REJECTED)
        raise


def _call_observers(purpose: str, outcome: str) -> None:
    for observer in current_app.extensions.get(OBSERVERS, ()):
        observer(purpose, outcome)
