"""Classification of database errors."""

from sqlalchemy import exc

UNDEFINED_TABLE = "42P01"
# Also undefined_column, insufficient_privilege and read_only_sql_transaction. SQLite reports all of
# them as operational errors.
UNUSABLE_CODES = {UNDEFINED_TABLE, "42703", "42501", "25006"}


def describe(error: Exception) -> str:
    """Return the first line of the driver's message; the others may contain values."""
    lines = str(getattr(error, "orig", None) or error).splitlines()
    return lines[0] if lines else type(error).__name__


def is_outage(error: Exception) -> bool:
    """Return whether the database is unusable: unreachable, slow, read-only or without schema."""
    if isinstance(error, exc.OperationalError | exc.TimeoutError):
        return True
    if not isinstance(error, exc.DBAPIError):
        return False
    # SQLite raises the base class for a file that is damaged or not a database.
    if error.connection_invalidated or type(error) is exc.DatabaseError:
        return True
    return getattr(error.orig, "pgcode", None) in UNUSABLE_CODES


def lacks_table(error: Exception) -> bool:
    """Return whether a table is missing."""
    code = getattr(getattr(error, "orig", None), "pgcode", None)
    return code == UNDEFINED_TABLE or "no such table" in describe(error)
