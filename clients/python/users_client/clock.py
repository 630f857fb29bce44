"""The clock by which a verifier measures how old what it knows is."""

from collections.abc import Callable

Clock = Callable[[], float]
"""Answers seconds that never go back, like time.monotonic."""
