"""Passwords and their hashing."""

from project.security.passwords import breaches
from project.settings.parsers import (
    boolean,
    integer,
    string,
)
from project.settings.setting import Setting

PASSWORDS = (
    Setting("BCRYPT_LOG_ROUNDS", integer(4, 20), 12,
        "The cost of a password hash; one more doubles the time."),
    Setting("PASSWORD_POLICY", boolean, False,
        "Whether a new password that is easily guessed is refused; see docs/passwords.md."),
    Setting("PASSWORD_MIN_LENGTH", integer(8, 64), 8,
        "How many characters a new password needs under the policy; NIST demands 15 where the "
        "password is the only factor."),
    Setting("BREACHED_PASSWORDS_FILE", breaches.searchable, None,
        "A file of the Have I Been Pwned downloader; the policy refuses the passwords in it."),
    Setting("SERVICE_NAME", string, "users",
        "What the product calls itself; the policy refuses it as a password."),
    Setting("HASH_THREADS", integer(1, 256), None,
        "How many passwords a worker hashes at once. Without it: the machine's cores, divided by "
        "the number of workers."),
    Setting("HASH_QUEUE", integer(0, 256), 8,
        "How many more may wait in each worker; what comes beyond is answered 503 at once. One "
        "network gets at most half of all these places."),
    Setting("HASH_NICENESS", integer(0, 19), 5,
        "How far the threads that hash stand back for all others (Linux)."),
)  # fmt: skip
