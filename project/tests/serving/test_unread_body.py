"""The discarding of unread request bodies."""

from unittest import TestCase
from wsgiref.types import WSGIEnvironment

import pytest
from flask import Flask
from werkzeug.test import EnvironBuilder, run_wsgi_app

from project.extensions import get_component
from project.limits import BODY_PIECE, MAX_CONCURRENT_REQUESTS
from project.serving.concurrency import ConcurrencyLimiter
from project.serving.unread_body import MAX_DISCARDED
from project.tests.support import databases


class Body:
    """A body that records the size of each read, and the number of free slots during it."""

    def __init__(self, length: int, limiter: ConcurrencyLimiter) -> None:
        self.left = length
        self.limiter = limiter
        self.sizes: list[int] = []
        self.free: list[int] = []

    def read(self, size: int = -1) -> bytes:
        """Return the next piece."""
        self.sizes.append(size)
        self.free.append(self.limiter._free.qsize())
        piece = bytes(self.left if size < 0 else min(size, self.left))
        self.left -= len(piece)
        return piece


class BrokenBody(Body):
    """A body whose client disconnects."""

    def read(self, size: int = -1) -> bytes:
        """Raise an exception that only a server would define."""
        raise RuntimeError("a chunk is broken")


@pytest.mark.any_database
class TestUnreadBody(TestCase):
    """Requests to an unknown path."""

    def setUp(self) -> None:
        self.app: Flask = databases.bare_app("sqlite:////tmp/never.sqlite")

    def send(self, body: Body, method: str = "POST", **environ: object) -> str:
        """Send a request with this body; return the status."""
        built: WSGIEnvironment = EnvironBuilder("/nope", method=method).get_environ()
        built |= {"wsgi.input": body, "wsgi.input_terminated": True} | environ
        _, status, _ = run_wsgi_app(self.app.wsgi_app, built)
        return status

    def body(self, length: int) -> Body:
        """Return a body of this length."""
        return Body(length, get_component(ConcurrencyLimiter, self.app))

    def test_a_body_is_discarded_in_pieces_without_a_slot(self) -> None:
        body = self.body(1_000_000)
        self.assertEqual(self.send(body, CONTENT_LENGTH="1000000"), "404 NOT FOUND")
        self.assertEqual(body.left, 0)
        self.assertLessEqual(max(body.sizes), BODY_PIECE)
        self.assertEqual(set(body.free), {MAX_CONCURRENT_REQUESTS})

    def test_reading_stops_at_the_content_length(self) -> None:
        body = self.body(1000)
        built = EnvironBuilder("/nope", method="POST").get_environ()
        built |= {"wsgi.input": body, "CONTENT_LENGTH": "600"}
        run_wsgi_app(self.app.wsgi_app, built)
        self.assertEqual(body.left, 400)

    def test_a_body_with_a_too_large_content_length_is_not_read(self) -> None:
        body = self.body(MAX_DISCARDED + 1)
        self.send(body, CONTENT_LENGTH=str(MAX_DISCARDED + 1))
        self.assertEqual(body.sizes, [])

    def test_a_chunked_body_is_read_up_to_the_maximum(self) -> None:
        body = self.body(10 * MAX_DISCARDED)
        self.assertEqual(self.send(body, HTTP_TRANSFER_ENCODING="chunked"), "404 NOT FOUND")
        self.assertEqual(body.left, 9 * MAX_DISCARDED)

    def test_a_request_without_a_body_is_not_read(self) -> None:
        for announced in ({}, {"CONTENT_LENGTH": "0"}):
            body = self.body(10)
            self.assertEqual(self.send(body, "GET", **announced), "404 NOT FOUND")
            self.assertEqual(body.sizes, [])

    def test_a_broken_body_does_not_change_the_response(self) -> None:
        body = BrokenBody(10, get_component(ConcurrencyLimiter, self.app))
        self.assertEqual(self.send(body, CONTENT_LENGTH="10"), "404 NOT FOUND")
