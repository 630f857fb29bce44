"""Commands about attempts that are counted."""

from project.accounts import throttle as counting
from project.clock import utcnow
from project.commands.console import CommandFailed, moment


def throttle(what: str, name: str = "") -> None:
    """List the current counts (`list`), or delete them (`clear`): all, or those of one --name."""
    if what == "list":
        _list(name or None)
    elif what == "clear":
        cleared = counting.clear(name or None)
        print(f"Forgotten{f' of {name}' if name else ''}: {cleared}.")
    else:
        raise CommandFailed(
            f"throttle {what} is no command; say: throttle list, or throttle clear."
        )


def _list(name: str | None) -> None:
    now, counts = utcnow(), counting.counts(name)
    if counts:
        print(f"{'limit':15}  {'counted':>7}  of whom")
    for row in counts:
        blocked = f"blocked until {moment(row.blocked_until)}" if row.blocked_until > now else ""
        print(f"{row.scope:15}  {row.count:7}  {row.subject}  {blocked}".rstrip())
    print(f"Counted now: {len(counts)}.")
