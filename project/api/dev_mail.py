"""Serves the mail folder over HTTP, for development and end-to-end tests only."""

import email
import re
from collections.abc import Iterator
from dataclasses import dataclass
from email import policy
from email.message import EmailMessage
from pathlib import Path

from flask import Blueprint, Response, current_app, render_template_string, request

from project.api.docs import PAGES
from project.api.schemas import DevMail, DevMailRequest, DevMailResponse, DevMails
from project.errors import NotFound
from project.http.contract import accepts_query, serves
from project.http.payload import MEDIA_TYPE
from project.security import identifiers

MAX_MAILS = 100
FOLDER = "mail"
CODE = re.compile(r"^([B-DF-HJ-NP-TV-XZ]{4}-[B-DF-HJ-NP-TV-XZ]{4})$", re.MULTILINE)
LINK = re.compile(r"^(https?://\S+/([a-z-]+)\?token=(\S+))$", re.MULTILINE)
ASSETS = {"mail.css": "text/css", "mail.js": "text/javascript"}
PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


@dataclass(frozen=True)
class Form:
    """A form that replaces a page of the front end; `auth_token` is sent as the bearer token."""

    page: str
    title: str
    path: str
    hint: str
    fields: tuple[str, ...]


@dataclass(frozen=True)
class Landing:
    """A link of a mail, and the form that accepts its token."""

    form: Form
    token: str
    code: str


FORMS = (
    Form("verify-email", "Verify the address", "/auth/email/verification/confirm",
         "token and password, or code and auth_token", ("token", "password", "code", "auth_token")),
    Form("reset-password", "Reset the password", "/auth/password/reset/confirm",
         "password, and token or code and request_id", ("token", "code", "request_id", "password")),
    Form("login", "Log in", "/auth/login/code/confirm",
         "request_id, and token or code", ("token", "code", "request_id")),
    Form("confirm-email", "Confirm the new address", "/auth/email/change/confirm",
         "token and password, or code and auth_token", ("token", "password", "code", "auth_token")),
    Form("invitation", "Accept the invitation", "/auth/invitations/accept",
         "all fields", ("token", "username", "password")),
    Form("not-me", "This was not me", "/auth/disown", "token", ("token",)),
)  # fmt: skip

dev_mail_blueprint = Blueprint("dev_mail", __name__)


@dev_mail_blueprint.get("/auth/dev/mail")
@serves(MEDIA_TYPE, "text/html", model=DevMailResponse)
@accepts_query(DevMailRequest)
def list_dev_mail(query: DevMailRequest) -> Response:
    """List the mail in the mail folder, newest first.

    Browsers receive a page with forms for the codes and links. Available only if MAIL_URL is
    `folder:`, never in production.
    """
    mails = list(_mails(query.to))
    if request.accept_mimetypes.best_match((MEDIA_TYPE, "text/html")) == "text/html":
        fields = {"Content-Security-Policy": PAGE_POLICY, "Vary": "Accept"}
        return Response(_page(mails, query.to), headers=fields, mimetype="text/html")
    body = DevMailResponse(data=DevMails(messages=mails)).model_dump_json()
    return Response(body, headers={"Vary": "Accept"}, content_type=MEDIA_TYPE)


@dev_mail_blueprint.get("/auth/dev/mail/<asset>")
@serves(*ASSETS.values(), errors=(NotFound,))
def get_dev_mail_asset(asset: str) -> Response:
    """Return the script or the style sheet of the page of mails."""
    if asset not in ASSETS:
        raise NotFound
    return Response((PAGES / asset).read_bytes(), mimetype=ASSETS[asset])


def _page(mails: list[DevMail], to: str | None) -> str:
    """Return the page of mails, with the forms whose routes are registered."""
    routes = {rule.rule for rule in current_app.url_map.iter_rules()}
    forms = {form.page: form for form in FORMS if form.path in routes}
    return render_template_string(
        (PAGES / "mail.html").read_text(),
        mails=mails,
        to=to,
        limit=MAX_MAILS,
        forms=forms.values(),
        landings=lambda mail: _landings(mail, forms),
    )


def _landings(mail: DevMail, forms: dict[str, Form]) -> list[Landing]:
    """Return the links of a mail that have a form, the mail's own link with its code."""
    return [
        Landing(forms[page], token, mail.code or "" if link == mail.link else "")
        for link, page, token in LINK.findall(mail.text)
        if page in forms
    ]


def _mails(to: str | None) -> Iterator[DevMail]:
    folder = Path(current_app.config["INSTANCE_PATH"]) / FOLDER
    key = None if to is None else identifiers.email_key(to)
    found = 0
    for file in sorted(folder.glob("*.eml"), reverse=True):
        mail = _read(file)
        if key is None or identifiers.email_key(mail.to) == key:
            found += 1
            yield mail
        if found == MAX_MAILS:
            return


def _read(file: Path) -> DevMail:
    message = email.message_from_bytes(file.read_bytes(), policy=policy.default)
    assert isinstance(message, EmailMessage)
    part = message.get_body(("plain",))
    content: str = part.get_content() if part else ""
    text = content.replace("\r\n", "\n")
    code, link = CODE.search(text), LINK.search(text)
    return DevMail(
        id=file.stem.rpartition("-")[2],
        to=str(message["To"]),
        kind=str(message["X-Kind"]).removeprefix("mail."),
        subject=str(message["Subject"]),
        text=text,
        code=code and code[1],
        link=link and link[1],
    )
