"""How many requests are worked at together: each takes a place, and waits where none is free.

A request whose body is still to come works at nothing, so it lends its place to another. Servers
have a thread for every connection that they accept; so clients that withhold bodies hold threads,
which are many, and never places, which are few.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from queue import SimpleQueue
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from flask import Flask

from project.extensions import add_component, get_component
from project.limits import MAX_CONCURRENT_REQUESTS
from project.serving import unread_body
from project.serving.slow_clients import IdleConnectionReaper


class ConcurrencyLimiter:
    """The places; to enter is to take one."""

    def __init__(self, number: int) -> None:
        # Every request pays for this, and a semaphore costs three times as much.
        self._free = SimpleQueue[None]()
        for _ in range(number):
            self._free.put(None)

    def __enter__(self) -> None:
        self._free.get()

    def __exit__(self, *_: object) -> None:
        self._free.put(None)

    @contextmanager
    def released(self) -> Iterator[None]:
        """Lend one's place to others for as long as the block waits for the client."""
        self._free.put(None)
        try:
            yield
        finally:
            self._free.get()


class Admission:
    """The app behind its places; the first request to a server also starts the watch."""

    def __init__(
        self, app: WSGIApplication, places: ConcurrencyLimiter, watch: IdleConnectionReaper
    ) -> None:
        self._app = app
        self._places = places
        self._watch = watch

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer the request as soon as there is a place for it."""
        # Where a process has one thread, nobody else waits; a test's client is such a place.
        if not self._watch.started and environ["wsgi.multithread"]:
            self._watch.start()
        if unread_body.may_be_left(environ):
            return self._answer_with_body(environ, start_response)
        with self._places:
            return self._app(environ, start_response)

    def _answer_with_body(
        self, environ: WSGIEnvironment, start_response: StartResponse
    ) -> Iterable[bytes]:
        unread_body.give_an_end(environ)
        with self._places:
            response = self._app(environ, start_response)
        unread_body.discard(environ)  # without a slot, since it waits for the client
        return response


def init_app(app: Flask) -> None:
    """Give the app its limiter, and what aborts its idle connections."""
    add_component(app, ConcurrencyLimiter(MAX_CONCURRENT_REQUESTS))
    add_component(app, IdleConnectionReaper(app.config["CLIENT_TIMEOUT_SECONDS"]))


def limit(app: Flask) -> Admission:
    """Return the app's WSGI callable behind its limiter."""
    limiter = get_component(ConcurrencyLimiter, app)
    return Admission(app.wsgi_app, limiter, get_component(IdleConnectionReaper, app))
