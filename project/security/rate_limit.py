"""A rate limit: attempts in a window of time."""

from dataclasses import dataclass
from datetime import timedelta

SIZES = ((86400, "d"), (3600, "h"), (60, "m"), (1, "s"))


def format_duration(length: timedelta) -> str:
    """Return a duration as it is set: in the largest unit that fits."""
    seconds = int(length.total_seconds())
    size, unit = next(unit for unit in SIZES if seconds % unit[0] == 0)
    return f"{seconds // size}{unit}"


@dataclass(frozen=True, slots=True)
class Limit:
    """So many attempts in so long a time."""

    quota: int
    window: timedelta

    def __str__(self) -> str:
        """Return the limit as it is set."""
        return f"{self.quota}/{format_duration(self.window)}"
