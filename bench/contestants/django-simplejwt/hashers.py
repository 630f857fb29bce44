"""Django's hasher for bcrypt, at the cost of the benchmark.

After https://docs.djangoproject.com/en/5.2/topics/auth/passwords/#increasing-the-work-factor.
"""

import os

from django.contrib.auth.hashers import BCryptSHA256PasswordHasher


class Hasher(BCryptSHA256PasswordHasher):
    """bcrypt over SHA-256."""

    rounds = int(os.environ["BENCH_COST"])
