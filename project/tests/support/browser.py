"""Open a page of the service in a real browser, headless Chromium."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import ConsoleMessage, Page, Route, expect, sync_playwright

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
OPTIONS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
TIMEOUT = 60_000
"""Milliseconds to wait for an element, for a busy machine."""


@contextmanager
def page_of(served: str) -> Iterator[Page]:
    """Yield an empty page that reaches this machine alone.

    After the block, assert that the console was silent and that every request went to `served`.
    """
    if CHROMIUM is None:
        if "CI" in os.environ:
            pytest.fail("chromium is not installed, and this is CI")
        pytest.skip("CHROMIUM IS NOT INSTALLED: the page is not tested in a browser")
    expect.set_options(timeout=TIMEOUT)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=OPTIONS)
        page = browser.new_page(viewport={"width": 1280, "height": 1600})
        page.set_default_timeout(TIMEOUT)
        complaints = _watch(page, served)
        yield page
        browser.close()
    assert complaints == []


def _watch(page: Page, served: str) -> list[str]:
    """Return a list to which console messages and requests to other hosts are added."""
    complaints: list[str] = []

    def follow(route: Route) -> None:
        if not route.request.url.startswith((served, "data:")):
            complaints.append(route.request.url)
        route.continue_()

    def listen(message: ConsoleMessage) -> None:
        # Newer versions of Chromium give advice on the page's form fields.
        if not message.text.startswith("[DOM]"):
            complaints.append(f"{message.type}: {message.text}")

    page.on("console", listen)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.route("**", follow)
    return complaints
