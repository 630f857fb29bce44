"""What the benchmarks compare: our service, its floor, and small apps on the public packages."""

from bench.contestants.contestant import Account, Call, Contestant, Tokens
from bench.contestants.registry import CONTESTANTS

__all__ = ["CONTESTANTS", "Account", "Call", "Contestant", "Tokens"]
