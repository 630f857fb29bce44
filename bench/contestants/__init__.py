"""The contestants of the benchmark: this service, a baseline, and apps on public packages."""

from bench.contestants.contestant import Account, Call, Contestant, Tokens
from bench.contestants.registry import CONTESTANTS

__all__ = ["CONTESTANTS", "Account", "Call", "Contestant", "Tokens"]
