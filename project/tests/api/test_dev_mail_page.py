"""The page of mails, in a real browser: it does the same as the pages of a front end."""

import tempfile
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from project.delivery import mail
from project.tests.support import browser, databases, servers
from project.tests.utils import PASSWORD, OverHTTP

SCREENSHOT = Path(tempfile.gettempdir()) / "users-mail-page.png"
EMAIL = "ada+1@example.com"
NEW_PASSWORD = "correct horse battery"

pytestmark = [pytest.mark.any_database, pytest.mark.processes]


def complete(page: Page, kind: str, step: str, **fields: str) -> str:
    """Enter the newest mail of a kind into a form, fill in the rest, and return the response."""
    article = page.locator("article", has_text=kind).first
    article.get_by_role("button", name=step).click()
    form = page.locator("details[open]", has_text=step).locator("form")
    for name, value in fields.items():
        form.locator(f"[name={name}]").fill(value)
    form.get_by_role("button", name="Send").click()
    expect(form.locator("pre")).to_be_visible()
    return form.locator("pre").inner_text()


def test_a_developer_verifies_and_resets_by_the_page() -> None:
    """Register, verify by the link, reset by the link, and log in."""
    database = databases.new_database()
    app = databases.new_app(database)
    with servers.running("granian", database) as served, browser.page_of(served) as page:
        caller = OverHTTP(served)
        token = caller.register("ada", EMAIL, PASSWORD).body["auth_token"]
        caller.post("/auth/password/reset", {"email": EMAIL})
        mail.deliverer(app).deliver_due()
        page.goto(f"{served}/auth/dev/mail?to=other@example.com")
        expect(page.get_by_text("No mail yet.")).to_be_visible()
        page.get_by_text("Show all").click()
        page.locator("article a", has_text=EMAIL).first.click()

        verified = complete(page, "email_verification", "Verify the address", password=PASSWORD)
        assert verified.startswith("HTTP 200"), verified
        assert caller.status(token).body["data"]["email_verified"]
        reset = complete(page, "password_reset", "Reset the password", password=NEW_PASSWORD)
        page.screenshot(path=SCREENSHOT, full_page=True)
        assert reset.startswith("HTTP 200"), reset
        assert caller.login(EMAIL, NEW_PASSWORD).status == 200
