"""Rate limits: a number of attempts in a window of time."""

from dataclasses import dataclass
from datetime import timedelta

UNITS = ((86400, "d"), (3600, "h"), (60, "m"), (1, "s"))


def format_duration(duration: timedelta) -> str:
    """Return a duration as the settings write it, like `15m`, in the largest unit that fits."""
    seconds = int(duration.total_seconds())
    size, unit = next(unit for unit in UNITS if seconds % unit[0] == 0)
    return f"{seconds // size}{unit}"


@dataclass(frozen=True, slots=True)
class Limit:
    """A number of attempts that is allowed in a window of time."""

    quota: int
    window: timedelta

    def __str__(self) -> str:
        """Return the limit as the settings write it, like `5/15m`."""
        return f"{self.quota}/{format_duration(self.window)}"
