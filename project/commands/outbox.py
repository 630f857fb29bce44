"""Commands to deliver, list, retry and cancel messages, and to unsuppress addresses."""

import signal
from typing import Annotated
from uuid import UUID

from flask import current_app
from flask_script_ng import Command, Option
from sqlalchemy import ColumnElement

from project import delivery
from project.accounts import outbox as messages
from project.accounts.suppression import unsuppress as end_suppression
from project.commands.console import CommandFailed, format_time
from project.models import Outbox, Outcome

MAX_LISTED = 200


def deliver(once: Annotated[bool, "Deliver all due messages, and exit."] = False) -> int:
    """Deliver the messages of the outbox until SIGTERM."""
    if current_app.config["MAIL_URL"].is_off:
        raise CommandFailed("MAIL_URL is none: there is no mail to deliver.")
    app = current_app._get_current_object()  # type: ignore[attr-defined]  # a proxy has it
    deliverer = delivery.module("mail").deliverer(app)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: deliverer.stop())
    if not once:
        deliverer.run()
        return 0
    finished = deliverer.deliver_due()
    deliverer.sender.close()
    print(f"Finished {finished} messages.")
    if deliverer.failures:
        raise CommandFailed("the mail server fails; `doctor` names the stage.")
    return 0


def outbox(
    failed: Annotated[bool, "List the failed messages."] = False,
    json: Annotated[bool, "Print JSON."] = False,
) -> None:
    """List the waiting messages, or the failed ones."""
    which = Outbox.outcome == Outcome.FAILED if failed else Outbox.done_at.is_(None)
    rows = messages.listed(which, limit=MAX_LISTED)
    if json:
        print(current_app.json.dumps([_as_json(row) for row in rows], indent=2))
        return
    for row in rows:
        state = row.reason or ("claimed" if row.lease else "")
        due = format_time(row.due_at)
        line = f"{row.id}  {row.kind:27}  due {due}  {row.attempts} attempts  {state}"
        print(line.rstrip())
    more = ", of which these are the oldest" if len(rows) == MAX_LISTED else ""
    print(f"{'Failed' if failed else 'Waiting'}: {len(rows)}{more}.")


class OutboxRetry(Command):  # type: ignore[misc]  # the library has no types
    """Send failed messages again: one by its id, or all with --failed."""

    option_list = (
        Option("id", nargs="?", help="Id of the message."),
        Option("--failed", action="store_true", help="Send every failed message again."),
        Option("--kind", help="Only messages of this kind, such as mail.password_reset."),
    )

    def run(self, id: str | None, failed: bool, kind: str | None) -> None:  # noqa: A002  # as typed
        """Make failed messages due again."""
        if bool(id) == failed:
            raise CommandFailed("give the id of a message, or --failed.")
        which = [Outbox.id == _uuid(id)] if id else []
        which += [Outbox.kind.in_((kind, f"mail.{kind}"))] if kind else []
        retried = messages.retry(*which)
        if id and not retried:
            raise CommandFailed(
                f"no failed message has the id {id}, or it has expired; see `outbox --failed`."
            )
        print(f"Due again: {retried}.")


def outbox_cancel(
    id: Annotated[str, "Id of the message."],  # noqa: A002  # as it is typed
) -> None:
    """Cancel a waiting message."""
    which: ColumnElement[bool] = Outbox.id == _uuid(id)
    if not messages.cancel_all(which, reason="by command"):
        raise CommandFailed(f"no waiting message has the id {id}; `outbox` lists them.")
    print(f"Cancelled {id}.")


def unsuppress(address: Annotated[str, "E-mail address."]) -> None:
    """Send mail again to an address that a mail server has rejected."""
    if not end_suppression(address):
        raise CommandFailed(f"{address} is not suppressed.")
    print(f"{address} gets mail again.")


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise CommandFailed(
            f"{text!a} is not the id of a message; `outbox` and `outbox --failed` list them."
        ) from None


def _as_json(row: Outbox) -> dict[str, object]:
    return {
        "id": str(row.id),
        "kind": row.kind,
        "user_id": row.user_id,
        "created_at": row.created_at.isoformat(),
        "due_at": row.due_at.isoformat(),
        "expires_at": row.expires_at.isoformat(),
        "attempts": row.attempts,
        "outcome": row.outcome,
        "reason": row.reason,
    }
