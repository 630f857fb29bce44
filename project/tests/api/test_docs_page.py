"""The docs page, in a real browser: it works without any other host, under its strict policy."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import ConsoleMessage, Page, Route, expect, sync_playwright

from project.tests.support import databases, servers
from project.tests.utils import OverHTTP

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
SCREENSHOT = Path(tempfile.gettempdir()) / "users-docs-page.png"
OPTIONS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

pytestmark = [pytest.mark.any_database, pytest.mark.processes]


@pytest.fixture
def served() -> Iterator[str]:
    """Serve an empty database; yield the server's URL."""
    database = databases.new_database()
    databases.new_app(database)
    with servers.running("granian", database) as url:
        yield url


@pytest.fixture
def page() -> Iterator[Page]:
    """Open a page in headless Chromium that reaches this machine alone."""
    if CHROMIUM is None:
        if "CI" in os.environ:
            pytest.fail("chromium is not installed, and this is CI")
        pytest.skip("CHROMIUM IS NOT INSTALLED: the docs page is not tested in a browser")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=OPTIONS)
        yield browser.new_page(viewport={"width": 1280, "height": 1600})
        browser.close()


def block(page: Page, tag: str, operation: str) -> str:
    """Return the selector of an operation, opened."""
    selector = f"#operations-{tag}-{operation}"
    page.locator(f"{selector} .opblock-summary-control").click()
    return selector


def execute(page: Page, selector: str) -> str:
    """Send an operation; return the body of the answer."""
    page.locator(f"{selector} .execute").click()
    answer = page.locator(f"{selector} .live-responses-table .response-col_description pre").first
    expect(answer).to_be_visible()
    return answer.inner_text()


def test_try_it_out_registers_authorizes_and_reads_the_status(served: str, page: Page) -> None:
    """Do what a newcomer does, and hold the console silent and every request to this host."""
    said: list[str] = []
    strangers: list[str] = []

    def watch(route: Route) -> None:
        if not route.request.url.startswith((served, "data:")):
            strangers.append(route.request.url)
        route.continue_()

    def listen(message: ConsoleMessage) -> None:
        # Newer versions of Chromium give advice on the page's form fields.
        if not message.text.startswith("[DOM]"):
            said.append(f"{message.type}: {message.text}")

    page.on("console", listen)
    page.on("pageerror", lambda error: said.append(str(error)))
    page.route("**", watch)
    page.goto(f"{served}/docs")
    paths = OverHTTP(served).get("/openapi.json").body["paths"]
    expect(page.locator(".opblock")).to_have_count(sum(len(path) for path in paths.values()))

    registered = execute(page, block(page, "auth", "register_user"))
    assert "Successfully registered." in registered
    token = registered.split('"auth_token": "')[1].split('"')[0]

    page.locator(".auth-wrapper .authorize").first.click()
    form = page.locator(".auth-container", has_text="auth_token")
    form.locator("input").fill(token)
    form.locator(".authorize").click()
    form.locator(".btn-done").click()

    status = execute(page, block(page, "auth", "get_user_status"))
    page.screenshot(path=SCREENSHOT, full_page=True)
    assert '"username": "grace"' in status
    assert strangers == []
    assert said == []
