"""The command that deletes expired rows."""

import sys
from collections import Counter

import click

from project.accounts import retention
from project.commands.console import database_name


def purge() -> None:
    """Delete expired rows, and the accounts whose deletion is final."""
    deleted = Counter(dict.fromkeys(retention.NAMES, 0))
    on_terminal = sys.stdout.isatty()
    # The number of batches is needed for the progress bar only, and costs a scan of the tables.
    length = retention.count_due_batches() if on_terminal else 0
    with click.progressbar(
        retention.purge(), length, label="Purging", hidden=not on_terminal
    ) as batches:
        for batch in batches:
            deleted[batch.name] += batch.rows
    rows = ", ".join(f"{rows} {name}" for name, rows in deleted.items())
    print(f"Purged {database_name()}: {rows}.")
