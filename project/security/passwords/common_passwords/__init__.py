"""A list of common passwords, which attackers guess first.

`passwords.txt.gz` is `django/contrib/auth/common-passwords.txt.gz` of Django 5.2, unchanged: 19,640
passwords in lower case, one a line, which Royce Williams collected from published breaches
(https://gist.github.com/roycewilliams/226886fd01572964e1431ac8afc999ce). Django's licence, the
3-clause BSD, is in `LICENSE`.
"""

import gzip
from functools import cache
from pathlib import Path

LIST = Path(__file__).parent / "passwords.txt.gz"


def contain(password: str) -> bool:
    """Return whether the list contains a normalized password, in any case and stripped of spaces.

    The first call loads the list.
    """
    return password.casefold().strip() in _load()


@cache
def _load() -> frozenset[str]:
    return frozenset(gzip.decompress(LIST.read_bytes()).decode().splitlines())
