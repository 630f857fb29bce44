"""Serves the mail folder over HTTP, for development and end-to-end tests only."""

import email
import re
from collections.abc import Iterator
from email import policy
from email.message import EmailMessage
from pathlib import Path

from flask import Blueprint, Response, current_app, render_template_string, request

from project.api.schemas import DevMail, DevMailRequest, DevMailResponse
from project.http.contract import accepts_query, serves
from project.http.payload import MEDIA_TYPE
from project.security import identifiers

MAX_MAILS = 100
FOLDER = "mail"
CODE = re.compile(r"^([B-DF-HJ-NP-TV-XZ]{4}-[B-DF-HJ-NP-TV-XZ]{4})$", re.MULTILINE)
LINK = re.compile(r"^(https?://\S+\?token=\S+)$", re.MULTILINE)
PAGE = """<!doctype html>
<meta charset="utf-8"><title>Mail</title>
<h1>Mail</h1>
<p>For development. The newest {{ mails|length }} mails; {{ limit }} at most.</p>
{% for mail in mails %}
<h2>{{ mail.subject }}</h2>
<p>To {{ mail.to }}: {{ mail.kind }}</p>
<pre>{{ mail.text }}</pre>
{% endfor %}
"""
PAGE_POLICY = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

dev_mail_blueprint = Blueprint("dev_mail", __name__)


@dev_mail_blueprint.get("/auth/dev/mail")
@serves(MEDIA_TYPE, "text/html")
@accepts_query(DevMailRequest)
def list_dev_mail(query: DevMailRequest) -> Response:
    """List the mail in the mail folder, newest first.

    Browsers receive an HTML page. Available only if MAIL_URL is `folder:`, never in production.
    """
    mails = list(_mails(query.to))
    if request.accept_mimetypes.best_match((MEDIA_TYPE, "text/html")) == "text/html":
        page = render_template_string(PAGE, mails=mails, limit=MAX_MAILS)
        fields = {"Content-Security-Policy": PAGE_POLICY, "Vary": "Accept"}
        return Response(page, headers=fields, mimetype="text/html")
    body = DevMailResponse(data=mails).model_dump_json()
    return Response(body, headers={"Vary": "Accept"}, content_type=MEDIA_TYPE)


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
