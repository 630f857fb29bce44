"""The command that lists and clears the counters of the rate limits."""

from typing import Annotated

from project.accounts import throttle as counting
from project.clock import utcnow
from project.commands.console import (
    CommandFailed,
    Yes,
    confirm,
    database_name,
    format_time,
    pluralize,
)


def throttle(
    what: Annotated[str, "`list` or `clear`."],
    name: Annotated[str, "Only the counters of this e-mail address or network."] = "",
    yes: Yes = False,
) -> None:
    """List or clear the counters of the rate limits."""
    if what == "list":
        _list(name or None)
    elif what == "clear":
        _clear(name, yes)
    else:
        raise CommandFailed(f"the argument of throttle must be list or clear, not {what!r}.")


def _clear(name: str, yes: bool) -> None:
    if not name:
        confirm(f"throttle clear clears every counter of {database_name()}.", yes)
    cleared = pluralize(counting.clear(name or None), "counter")
    print(f"Cleared {cleared}{f' for {name}' if name else ''} in {database_name()}.")


def _list(name: str | None) -> None:
    now, counts = utcnow(), counting.list_counts(name)
    if counts:
        print(f"{'limit':15}  {'attempts':>8}  subject")
    for row in counts:
        until = format_time(row.blocked_until)
        blocked = f"blocked until {until}" if row.blocked_until > now else ""
        print(f"{row.scope:15}  {row.count:8}  {row.subject}  {blocked}".rstrip())
    print(f"{pluralize(len(counts), 'active counter')}.")
