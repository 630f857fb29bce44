"""Settings of password hashing and the password policy."""

from project.security.passwords import breaches
from project.settings.parsers import boolean, integer, string
from project.settings.setting import Setting

PASSWORDS = (
    Setting("BCRYPT_LOG_ROUNDS", integer(4, 20), 12,
        "Cost of a password hash; each increment doubles the time."),
    Setting("PASSWORD_POLICY", boolean, False,
        "Reject new passwords that are easily guessed; see docs/passwords.md."),
    Setting("PASSWORD_MIN_LENGTH", integer(8, 64), 8,
        "Minimum length of a new password, in characters, under `PASSWORD_POLICY`. NIST requires "
        "15 where the password is the only factor."),
    Setting("BREACHED_PASSWORDS_FILE", breaches.check_file, None,
        "File of breached passwords, in the format of haveibeenpwned-downloader; "
        "`PASSWORD_POLICY` rejects the passwords in it."),
    Setting("SERVICE_NAME", string, "users",
        "Name of the product in mail; `PASSWORD_POLICY` rejects it as a password."),
    Setting("HASH_THREADS", integer(1, 256), None,
        "Number of passwords that a worker hashes at once. Defaults to the number of cores "
        "divided by the number of workers."),
    Setting("HASH_QUEUE", integer(0, 256), 8,
        "Maximum number of passwords that wait for hashing in a worker; further requests get 503 "
        "at once. One network may use at most half of the threads and queue."),
    Setting("HASH_NICENESS", integer(0, 19), 5,
        "Niceness of the threads that hash passwords, so that other requests run first (Linux "
        "only)."),
)  # fmt: skip
