"""How many requests are worked at together: each takes a place, and waits where none is free.

A request whose body is still to come works at nothing, so it lends its place to another. Servers
have a thread for every connection that they accept; so clients that withhold bodies hold threads,
which are many, and never places, which are few.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from queue import SimpleQueue
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from flask import Flask, current_app

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
    """The app behind its places; the first request to a server also starts its threads."""

    def __init__(
        self,
        app: WSGIApplication,
        places: ConcurrencyLimiter,
        watch: IdleConnectionReaper,
        starting: list[Callable[[], None]],
    ) -> None:
        self._app = app
        self._places = places
        self._watch = watch
        self._starting = starting

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer the request as soon as there is a place for it."""
        # Where a process has one thread, nobody else waits; a test's client is such a place.
        if not self._watch.started and environ["wsgi.multithread"]:
            self._watch.start()
            for start in self._starting:
                start()
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
    """Put the app behind its places."""
    places = app.extensions["places"] = ConcurrencyLimiter(MAX_CONCURRENT_REQUESTS)
    watch = app.extensions["watch"] = IdleConnectionReaper(app.config["CLIENT_TIMEOUT_SECONDS"])
    starting: list[Callable[[], None]] = app.extensions.setdefault("on_first_request", [])
    admission = Admission(app.wsgi_app, places, watch, starting)
    app.wsgi_app = admission  # type: ignore[method-assign]


def places() -> ConcurrencyLimiter:
    """Return the current app's places."""
    found: ConcurrencyLimiter = current_app.extensions["places"]
    return found
