"""The passwords that are guessed first.

`passwords.txt.gz` is `django/contrib/auth/common-passwords.txt.gz` of Django 5.2, unchanged: 19,640
passwords in lower case, a line each, which Royce Williams drew from published breaches
(https://gist.github.com/roycewilliams/226886fd01572964e1431ac8afc999ce). Django's licence, BSD with
three clauses, lies beside it.
"""

import gzip
from functools import cache
from pathlib import Path

LIST = Path(__file__).parent / "passwords.txt.gz"


def contain(password: str) -> bool:
    """Tell whether a normalized password is on the list, whatever its case and the blanks around.

    The list is read at the first call, and kept.
    """
    return password.casefold().strip() in _listed()


@cache
def _listed() -> frozenset[str]:
    return frozenset(gzip.decompress(LIST.read_bytes()).decode().splitlines())
