"""The docs page, in a real browser: it works without any other host, under its strict policy."""

import tempfile
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from project.tests.support import browser, databases, servers
from project.tests.utils import OverHTTP

SCREENSHOT = Path(tempfile.gettempdir()) / "users-docs-page.png"

pytestmark = [pytest.mark.any_database, pytest.mark.processes]


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


def test_try_it_out_registers_authorizes_and_reads_the_status() -> None:
    """Do what a newcomer does, and hold the console silent and every request to this host."""
    database = databases.new_database()
    databases.new_app(database)
    with servers.running("granian", database) as served, browser.page_of(served) as page:
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
