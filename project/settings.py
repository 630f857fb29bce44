"""The settings: one list that feeds the classes, the check at start and the README's table.

A setting is a name, a way to read it, a default and a sentence.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from project import mail_settings
from project.database.url import database_url
from project.readers import (
    Limit,
    digests,
    duration,
    limit,
    networks,
    one_of,
    origins,
    secrets,
    switch,
    text,
    whole,
)
from project.security import breaches
from project.security.keys import Algorithm


@dataclass(frozen=True)
class Setting:
    """A name, a way to read it from the environment, a default and a sentence."""

    name: str
    read: Callable[[str], object]
    default: object
    sentence: str


SETTINGS = (
    Setting("DATABASE_URL", database_url, None,
        "The database: `postgresql://…` or `sqlite:///…`. Without one: `users.sqlite` in the "
        "instance folder; production and staging require it."),
    Setting("DATABASE_TEST_URL", database_url, None,
        "The database of `TestingConfig`, and the server that the test suite uses instead of "
        "starting one of its own."),
    Setting("DATABASE_CONNECT_TIMEOUT", duration, timedelta(seconds=1),
        "How long to wait for a connection to PostgreSQL."),
    Setting("DATABASE_STATEMENT_TIMEOUT", duration, timedelta(seconds=1),
        "How long a statement may take in PostgreSQL; a request waits for the database half a "
        "second longer in all."),
    Setting("DATABASE_POOL_TIMEOUT", duration, timedelta(seconds=1),
        "How long to wait for one of the worker's own connections, where all are in use."),
    Setting("DRAIN_SECONDS", whole(0, 60), 2,
        "How long a server that is told to end still serves, saying at `/health/ready` that it is "
        "not ready."),
    Setting("SECRET_KEY", text, None,
        "Signs the tokens; at least 32 random bytes. Without one it is made once and kept in the "
        "instance folder with mode 600; production and staging require it."),
    Setting("SECRET_KEY_FALLBACKS", secrets, [],
        "Secrets of before, separated by commas: they sign nothing, and tokens that they signed "
        "stay good."),
    Setting("TOKEN_ALGORITHM", one_of(*Algorithm), Algorithm.HS256,
        "How tokens are signed: `HS256` by the secret; `ES256` or `EdDSA` by a key pair of the "
        "database, whose public part `/.well-known/jwks.json` shows."),
    Setting("KEY_ROTATION_DAYS", whole(0, 3650), 90,
        "After how many days a signing key gets a successor by itself; 0 is never."),
    Setting("KEY_PUBLICATION_LEAD", duration, timedelta(minutes=10),
        "How long a key is published before it signs; twice as long as verifiers are told to keep "
        "what is published."),
    Setting("LOG_LEVEL", one_of("DEBUG", "INFO", "WARNING"), "INFO",
        "From which level on the service's lines are logged; see docs/logs.md."),
    Setting("INSTANCE_PATH", text, None,
        "The folder for what belongs to this installation alone. Without one: `instance/` beside "
        "`project/`."),
    Setting("TOKEN_EXPIRATION_DAYS", whole(0, 3650), 30,
        "How long a token lives: days, to which the seconds are added."),
    Setting("TOKEN_EXPIRATION_SECONDS", whole(0, 86400), 0,
        "How long a token lives: seconds, added to the days."),
    Setting("SESSION_LIFETIME", duration, timedelta(days=365),
        "How long a session can be kept open by refreshing, like `90d` or `12h`."),
    Setting("SESSION_IDLE_LIFETIME", duration, timedelta(days=60),
        "How long a session that is not refreshed stays open: the life of a refresh token."),
    Setting("MAX_SESSIONS_PER_USER", whole(1, 10_000), 100,
        "How many sessions a user may have open; one more ends the oldest."),
    Setting("BCRYPT_LOG_ROUNDS", whole(4, 20), 12,
        "The cost of a password hash; one more doubles the time."),
    Setting("PASSWORD_POLICY", switch, False,
        "Whether a new password that is easily guessed is refused; see docs/passwords.md."),
    Setting("PASSWORD_MIN_LENGTH", whole(8, 64), 8,
        "How many characters a new password needs under the policy; NIST demands 15 where the "
        "password is the only factor."),
    Setting("BREACHED_PASSWORDS_FILE", breaches.searchable, None,
        "A file of the Have I Been Pwned downloader; the policy refuses the passwords in it."),
    Setting("SERVICE_NAME", text, "users",
        "What the product calls itself; the policy refuses it as a password."),
    Setting("HASH_THREADS", whole(1, 256), None,
        "How many passwords a worker hashes at once. Without it: the machine's cores, divided by "
        "the number of workers."),
    Setting("HASH_QUEUE", whole(0, 256), 8,
        "How many more may wait in each worker; what comes beyond is answered 503 at once."),
    Setting("HASH_NICENESS", whole(0, 19), 5,
        "How far the threads that hash stand back for all others (Linux)."),
    Setting("THROTTLE_ENABLED", switch, True,
        "Whether attempts are counted; off is for load tests."),
    Setting("THROTTLE_ACCOUNT_NETWORK", limit, Limit(5, timedelta(minutes=15)),
        "How many logins of one network at one account may fail, and in what time, before each has "
        "to wait."),
    Setting("THROTTLE_NETWORK", limit, Limit(300, timedelta(minutes=15)),
        "The same of one network at all accounts."),
    Setting("THROTTLE_ACCOUNT", limit, Limit(100, timedelta(days=1)),
        "The same of all networks at one account; those that have logged in to it before do not "
        "count and are let in."),
    Setting("THROTTLE_REGISTRATION", limit, Limit(300, timedelta(minutes=15)),
        "How many registrations of one network, and in what time, before each has to wait."),
    Setting("THROTTLE_FIRST_WAIT", duration, timedelta(seconds=30),
        "How long the first wait is beyond a limit; each is twice the one before."),
    Setting("THROTTLE_LONGEST_WAIT", duration, timedelta(hours=1),
        "How long a wait is at the most; no door is shut for good."),
    Setting("AUDIT_RETENTION_DAYS", whole(1, 36500), 365,
        "How long the audit trail is kept; `purge` deletes what is older."),
    Setting("SERVICE_TOKENS", digests, [],
        "The SHA-256 of the tokens by which other services may introspect, separated by commas; "
        "`make_service_token` makes them."),
    Setting("METRICS_TOKEN", digests, [],
        "The SHA-256 of the token by which Prometheus may read `/metrics`, or of several, "
        "separated by commas; `make_service_token` makes them. Without one nothing is counted, "
        "and there is no `/metrics`."),
    Setting("USERS_PUBLIC", switch, False,
        "Whether everybody may read `/users`, e-mail addresses included."),
    Setting("CORS_ORIGINS", origins, ["*"],
        "The origins whose pages may call the service, separated by commas; no cookie is used."),
    Setting("CLIENT_TIMEOUT_SECONDS", whole(1, 60), 15,
        "How long a client may take to send a request's header fields, again for the rest of it, "
        "and again to read the answer; then its connection is ended."),
    Setting("TRUSTED_PROXIES", networks, [],
        "The networks, or single addresses, of the reverse proxies whose `X-Forwarded-For` tells "
        "the client's address, separated by commas."),
    Setting("MAIL_URL", mail_settings.mail_url, mail_settings.NO_MAIL,
        "How mail is sent: `smtps://user:password@host:465`, `smtp://…:587` (with STARTTLS), "
        "`smtp+plain://localhost:25`, `folder:` (files in the instance folder) or `none:`; see "
        "docs/mail.md."),
    Setting("MAIL_PASSWORD_FILE", text, None,
        "A file with the password for the mail server, instead of one in `MAIL_URL`."),
    Setting("MAIL_FROM", mail_settings.mailbox, None,
        "The sender of every mail, like `Users <no-reply@example.com>`; required for mail."),
    Setting("MAIL_REPLY_TO", mail_settings.mailbox, None,
        "The address that replies go to."),
    Setting("MAIL_HELO", mail_settings.host_name, None,
        "The name by which the service greets the mail server. Without one: the domain of "
        "`MAIL_FROM`."),
    Setting("MAIL_TEMPLATES", text, None,
        "A folder with templates of your own; see docs/mail.md."),
    Setting("MAIL_ONLY_TO", mail_settings.allow_list, [],
        "For staging: the domains and addresses that get mail, separated by commas; mail to all "
        "others is written to the mail folder."),
    Setting("MAIL_DELIVERY", one_of("workers", "command"), "workers",
        "Who delivers mail: the server's `workers`, or only the `command` `manage.py deliver`."),
    Setting("DEFAULT_LANGUAGE", mail_settings.language, "en",
        "The language of mail to those whose language is not known."),
    Setting("FRONTEND_URL", mail_settings.frontend_url, None,
        "The URL of your front end, with which every link in a mail begins; required for mail."),
)  # fmt: skip
