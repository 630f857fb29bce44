"""The files of the docs page: where they are served, how they are sent, and to how many at once."""

import gzip
from typing import ClassVar
from unittest import TestCase

import pytest

from project.api import docs
from project.api.docs import CHUNK, MAX_TRANSFERS, Transfer, load_asset
from project.tests.base import BaseTestCase
from project.tests.support import databases
from project.tests.utils import InProcess, Reply

BUNDLE = "/docs/swagger-ui-bundle.js"
BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


class DocsCase(BaseTestCase):
    """An app in testing configuration, or with other settings."""

    def root(self, accept: str, method: str = "GET") -> Reply:
        """Ask for the root as a client does that accepts this."""
        return self.caller.send(method, "/", None, {"Accept": accept} if accept else {})


@pytest.mark.any_database
class TestDocs(DocsCase):
    """With DOCS_ENABLED."""

    def test_a_file_is_compressed_for_those_who_accept_that(self) -> None:
        plain = self.caller.get(BUNDLE)
        packed = self.caller.get(BUNDLE, **{"Accept-Encoding": "br, gzip"})
        self.assertNotIn("Content-Encoding", plain.headers)
        self.assertEqual(packed.headers["Content-Encoding"], "gzip")
        self.assertEqual(gzip.decompress(packed.raw), plain.raw)
        self.assertLess(len(packed.raw), len(plain.raw) / 2)
        self.assertNotEqual(packed.headers["ETag"], plain.headers["ETag"])
        for reply in (plain, packed):
            self.assertEqual(reply.headers["Content-Length"], str(len(reply.raw)))
            self.assertEqual(reply.headers["Vary"], "Accept-Encoding")

    def test_a_compressed_file_is_revalidated_as_such(self) -> None:
        tag = self.caller.get(BUNDLE, **{"Accept-Encoding": "gzip"}).headers["ETag"]
        again = self.caller.get(BUNDLE, **{"Accept-Encoding": "gzip", "If-None-Match": tag})
        self.assertEqual((again.status, again.raw), (304, b""))
        self.assertEqual(self.caller.get(BUNDLE, **{"If-None-Match": tag}).status, 200)

    def test_too_many_at_once_are_rejected_and_end_their_connections(self) -> None:
        content = load_asset("docs.js", "identity").content
        sent = [Transfer(content) for _ in range(MAX_TRANSFERS)]
        reply = self.caller.get(BUNDLE)
        self.assert_error(reply, 503, "Too many transfers at once. Try again later.", "overloaded")
        self.assertEqual(reply.headers["Connection"], "close")
        self.assertIn("Retry-After", reply.headers)
        del sent
        self.assertEqual(self.caller.get(BUNDLE).status, 200)

    def test_no_response_leaves_a_transfer_behind(self) -> None:
        before = len(docs.active_transfers)
        tag = self.caller.get(BUNDLE).headers["ETag"]
        for method, headers in (("GET", {}), ("HEAD", {}), ("GET", {"If-None-Match": tag})):
            self.caller.send(method, BUNDLE, None, headers)
        self.assertEqual(len(docs.active_transfers), before)

    def test_the_root_sends_a_browser_to_the_page(self) -> None:
        for method in ("GET", "HEAD"):
            reply = self.root(BROWSER, method)
            self.assertEqual((reply.status, reply.headers["Location"]), (302, "docs"))
            self.assertEqual(reply.headers["Content-Type"], "application/json")

    def test_the_root_is_unknown_to_other_clients(self) -> None:
        for accept in ("", "*/*", "application/json", "application/json, text/html;q=0.5"):
            self.assert_error(self.root(accept), 404, "Not found.", "not_found")


@pytest.mark.any_database
class TestWithoutDocs(DocsCase):
    """Without DOCS_ENABLED, the paths of the page are not found."""

    overrides: ClassVar[dict[str, object]] = {"DOCS_ENABLED": False}

    def test_neither_page_nor_files_nor_redirect(self) -> None:
        for path in ("/docs", BUNDLE, "/docs/nope", "/"):
            reply = self.caller.get(path, Accept=BROWSER)
            self.assert_error(reply, 404, "Not found.", "not_found")

    def test_the_document_is_served_and_names_none_of_them(self) -> None:
        paths = self.caller.get("/openapi.json").body["paths"]
        self.assertIn("/auth/status", paths)
        self.assertFalse({"/", "/docs", "/docs/{asset}"} & set(paths))


@pytest.mark.any_database
class TestTransfer(TestCase):
    """The transfer of assets to the server."""

    def test_it_yields_small_pieces_of_what_all_share(self) -> None:
        shared = load_asset("swagger-ui-bundle.js", "identity")
        self.assertIs(load_asset("swagger-ui-bundle.js", "identity"), shared)
        pieces = list(Transfer(shared.content))
        self.assertLessEqual(max(map(len, pieces)), CHUNK)
        self.assertEqual(b"".join(pieces), shared.content)

    def test_every_file_is_there(self) -> None:
        app = databases.bare_app("sqlite:////tmp/never.sqlite")
        caller = InProcess(app.test_client())
        for asset in docs.ASSETS:
            self.assertEqual(caller.get(f"/docs/{asset}").status, 200)
