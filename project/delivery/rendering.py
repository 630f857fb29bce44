"""Renders mails from templates, which are chosen by language and kind."""

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from jinja2 import (
    ChoiceLoader,
    FileSystemLoader,
    StrictUndefined,
    TemplateError,
    select_autoescape,
)
from jinja2.sandbox import SandboxedEnvironment

from project.accounts.messages import (
    DISOWN_PAGE,
    FAREWELL,
    KINDS,
    PREFIX,
    Claimed,
    OneTimeTokens,
)

OURS = Path(__file__).parent / "templates"
LAST_RESORT = "en"
LAYOUT = "layout.html"

BROKEN = (
    TemplateError,
    ArithmeticError,
    AttributeError,
    LookupError,
    OSError,
    RecursionError,
    TypeError,
    ValueError,
)
"""The exceptions that an operator's template may raise."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Rendered:
    """A rendered mail."""

    subject: str
    text: str
    html: str


class Renderer:
    """Renders mails; the operator's templates take precedence over the built-in ones."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        self._default_language: str = config["DEFAULT_LANGUAGE"]
        self._ours = _environment(OURS)
        theirs = config["MAIL_TEMPLATES"]
        self._theirs = _environment(Path(theirs), OURS) if theirs else None
        self._reported: set[str] = set()

    def render(self, kind: str, language: str, variables: Mapping[str, object]) -> Rendered:
        """Render a mail; fall back to the built-in template if the operator's is broken."""
        if self._theirs:
            try:
                return self._render(self._theirs, kind, language, variables)
            except BROKEN as error:
                self._report(kind, language, error)
        return self._render(self._ours, kind, language, variables)

    def render_strictly(
        self, kind: str, language: str, variables: Mapping[str, object]
    ) -> Rendered:
        """Render a mail without a fallback. Raises one of BROKEN if the template is broken."""
        return self._render(self._theirs or self._ours, kind, language, variables)

    def languages(self) -> list[str]:
        """Return the languages of all templates, the operator's included."""
        names = (self._theirs or self._ours).list_templates(["txt"])
        return sorted({name.partition("/")[0] for name in names if name.count("/") == 1})

    def _render(
        self,
        environment: SandboxedEnvironment,
        kind: str,
        language: str,
        variables: Mapping[str, object],
    ) -> Rendered:
        chain = self._chain(language)
        text = environment.select_template([f"{one}/{kind}.txt" for one in chain])
        subject, _, body = text.render(variables).strip().partition("\n")
        subject, body = subject.strip(), re.sub(r"\n{3,}", "\n\n", body.strip())
        if not subject or not body:
            raise TemplateError(f"{text.name} has no subject or no text")
        found = str(text.name).partition("/")[0]
        page = environment.select_template([f"{found}/{kind}.html", LAYOUT])
        blocks = [_block(paragraph, variables) for paragraph in body.split("\n\n")]
        given = {"subject": subject, "blocks": blocks, "language": found}
        return Rendered(subject, f"{body}\n", page.render(**variables, **given).strip() + "\n")

    def _chain(self, language: str) -> list[str]:
        """Return the languages to try, in order: `de-AT`, `de`, DEFAULT_LANGUAGE, `en`."""
        default = self._default_language
        general = (one.partition("-")[0] for one in (language, default))
        first, second = general
        chain = (language, first, default, second, LAST_RESORT)
        return [one for one in dict.fromkeys(chain) if one.replace("-", "").isalnum()]

    def _report(self, kind: str, language: str, error: Exception) -> None:
        where = f"{language}/{kind}"
        if where not in self._reported:
            self._reported.add(where)
            reason = f"{type(error).__name__}: {error}"
            logger.warning("a mail template is broken; see docs/mail.md",
                           extra={"template": where, "reason": reason})  # fmt: skip


def variables(
    config: Mapping[str, Any], message: Claimed, tokens: OneTimeTokens | None
) -> dict[str, object]:
    """Return the template variables of a claimed mail; codes and links are derived here."""
    kind = KINDS[message.kind.removeprefix(PREFIX)]
    payload = message.payload
    given: dict[str, object] = {
        "service": config["SERVICE_NAME"],
        "at": written(datetime.fromisoformat(payload["at"])),
        "address": payload["address"],
    }
    if kind.page and tokens:
        token_id = UUID(payload["token"])
        given["expires"] = written(message.expires_at)
        given["link"] = tokens.link_of(token_id, kind.name, kind.page)
        if kind.has_code:
            given["code"] = tokens.code_of(token_id, kind.name)
    if kind.has_disown_link:
        disown = payload.get("disown")
        given["disown_link"] = None
        if disown and tokens:
            purpose = kind.disown_purpose
            given["disown_link"] = tokens.link_of(UUID(disown), purpose, DISOWN_PAGE)
    if kind.name == FAREWELL:
        final_at = payload.get("final_at")
        given["final_at"] = final_at and written(datetime.fromisoformat(final_at))
    return given


def written(moment: datetime) -> str:
    """Format a point in time for a mail: `2026-11-22 21:34 UTC`."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def _environment(*folders: Path) -> SandboxedEnvironment:
    return SandboxedEnvironment(
        loader=ChoiceLoader([FileSystemLoader(folder) for folder in folders]),
        undefined=StrictUndefined,
        autoescape=select_autoescape(["html"]),
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _block(paragraph: str, variables: Mapping[str, object]) -> tuple[str, str]:
    """Return the HTML block type of a paragraph, `code`, `link` or `text`, and its text."""
    words = " ".join(paragraph.split())
    if words == variables.get("code"):
        return "code", words
    if words in (variables.get("link"), variables.get("disown_link")):
        return "link", words
    return "text", words
