"""The clock that measures the age of cached keys and of the feed."""

from collections.abc import Callable

Clock = Callable[[], float]
"""Returns seconds that never decrease, as time.monotonic does."""
