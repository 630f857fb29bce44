"""A limit on the requests that a process handles at once: each holds a slot, or waits for one.

A request that waits for its body releases its slot. The server has a thread for every connection
that it accepts, so clients that withhold a body occupy threads, which are many, and never slots,
which are few.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from queue import SimpleQueue
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from flask import Flask

from project.extensions import add_component, get_component
from project.limits import MAX_CONCURRENT_REQUESTS
from project.serving import unread_body
from project.serving.slow_clients import IdleConnectionReaper


class ConcurrencyLimiter:
    """A fixed number of slots. As a context manager, it holds one slot."""

    def __init__(self, number: int) -> None:
        # Every request pays for this, and a semaphore costs three times as much as a queue.
        self._free = SimpleQueue[None]()
        for _ in range(number):
            self._free.put(None)

    def __enter__(self) -> None:
        self._free.get()

    def __exit__(self, *_: object) -> None:
        self._free.put(None)

    @contextmanager
    def released(self) -> Iterator[None]:
        """Release the slot while the block waits for the client, then acquire one again."""
        self._free.put(None)
        try:
            yield
        finally:
            self._free.get()


class StartHooks:
    """Functions that start threads of this process; the first request to a server calls them."""

    def __init__(self) -> None:
        self._functions: list[Callable[[], None]] = []

    def add(self, function: Callable[[], None]) -> None:
        """Add a function."""
        self._functions.append(function)

    def call(self) -> None:
        """Call every function."""
        for function in self._functions:
            function()


class ConcurrencyMiddleware:
    """WSGI middleware that gives each request a slot. The first request starts the threads."""

    def __init__(
        self,
        app: WSGIApplication,
        limiter: ConcurrencyLimiter,
        reaper: IdleConnectionReaper,
        hooks: StartHooks,
    ) -> None:
        self._app = app
        self._limiter = limiter
        self._reaper = reaper
        self._hooks = hooks

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Handle the request as soon as a slot is free."""
        # With a single thread no other request can wait; a test client has one.
        if not self._reaper.started and environ["wsgi.multithread"]:
            self._reaper.start()
            self._hooks.call()
        if unread_body.has_body(environ):
            return self._handle_with_body(environ, start_response)
        with self._limiter:
            return self._app(environ, start_response)

    def _handle_with_body(
        self, environ: WSGIEnvironment, start_response: StartResponse
    ) -> Iterable[bytes]:
        unread_body.limit_stream(environ)
        with self._limiter:
            response = self._app(environ, start_response)
        unread_body.discard(environ)  # without a slot, since it waits for the client
        return response


def init_app(app: Flask) -> None:
    """Add the limiter, the reaper and the hooks to the app."""
    add_component(app, StartHooks())
    add_component(app, ConcurrencyLimiter(MAX_CONCURRENT_REQUESTS))
    add_component(app, IdleConnectionReaper(app.config["CLIENT_TIMEOUT_SECONDS"]))


def limit(app: Flask) -> ConcurrencyMiddleware:
    """Return the app's WSGI callable behind its limiter."""
    return ConcurrencyMiddleware(
        app.wsgi_app,
        get_component(ConcurrencyLimiter, app),
        get_component(IdleConnectionReaper, app),
        get_component(StartHooks, app),
    )
