"""Commands about rate limits."""

from typing import Annotated

from project.accounts import throttle as counting
from project.clock import utcnow
from project.commands.console import CommandFailed, Yes, confirm, counted, database_name, moment


def throttle(
    what: Annotated[str, "`list` lists the counters, `clear` clears them."],
    name: Annotated[str, "Clear the counters of this e-mail address or network only."] = "",
    yes: Yes = False,
) -> None:
    """List the counters of attempts, or clear them."""
    if what == "list":
        _list(name or None)
    elif what == "clear":
        _clear(name, yes)
    else:
        raise CommandFailed(f"throttle takes list or clear, not {what!r}.")


def _clear(name: str, yes: bool) -> None:
    if not name:
        confirm(f"throttle clear clears every counter of {database_name()}.", yes)
    cleared = counted(counting.clear(name or None), "counter")
    print(f"Cleared {cleared}{f' for {name}' if name else ''} in {database_name()}.")


def _list(name: str | None) -> None:
    now, counts = utcnow(), counting.list_counts(name)
    if counts:
        print(f"{'limit':15}  {'attempts':>8}  subject")
    for row in counts:
        blocked = f"blocked until {moment(row.blocked_until)}" if row.blocked_until > now else ""
        print(f"{row.scope:15}  {row.count:8}  {row.subject}  {blocked}".rstrip())
    print(f"{counted(len(counts), 'active counter')}.")
