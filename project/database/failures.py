"""What a failure of the database means."""

from sqlalchemy import exc

UNDEFINED_TABLE = "42P01"
# And PostgreSQL's undefined_column, insufficient_privilege and read_only_sql_transaction; SQLite
# calls all of them operational errors.
UNFIT = {UNDEFINED_TABLE, "42703", "42501", "25006"}


def reason(error: Exception) -> str:
    """Return the first line of what the driver said; the rest may hold values."""
    said = str(getattr(error, "orig", None) or error).splitlines()
    return said[0] if said else type(error).__name__


def is_outage(error: Exception) -> bool:
    """Tell whether the database could not do its part: away, slow, read-only or without schema."""
    if isinstance(error, exc.OperationalError | exc.TimeoutError):
        return True
    if not isinstance(error, exc.DBAPIError):
        return False
    # The bare class stands for a file that is no SQLite database, or a damaged one.
    if error.connection_invalidated or type(error) is exc.DatabaseError:
        return True
    return getattr(error.orig, "pgcode", None) in UNFIT


def lacks_table(error: Exception) -> bool:
    """Tell whether the table that was asked for is not there."""
    code = getattr(getattr(error, "orig", None), "pgcode", None)
    return code == UNDEFINED_TABLE or "no such table" in reason(error)
