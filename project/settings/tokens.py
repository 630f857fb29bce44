"""Secrets, tokens, signing keys and sessions."""

from datetime import timedelta

from project.security.signing_keys import Algorithm
from project.settings.parsers import (
    choice,
    duration,
    integer,
    issuer,
    secrets,
    string,
)
from project.settings.setting import Setting

TOKENS = (
    Setting("SECRET_KEY", string, None,
        "Signs the tokens; at least 32 random bytes. Without one it is made once and kept in the "
        "instance folder with mode 600; production and staging require it.", secret=True),
    Setting("SECRET_KEY_FALLBACKS", secrets, [],
        "Secrets of before, separated by commas: they sign nothing, and tokens that they signed "
        "stay good.", secret=True),
    Setting("TOKEN_ALGORITHM", choice(*Algorithm), Algorithm.HS256,
        "How tokens are signed: `HS256` by the secret; `ES256` or `EdDSA` by a key pair of the "
        "database, whose public part `/.well-known/jwks.json` shows."),
    Setting("TOKEN_ISSUER", issuer, None,
        "The `https` URL that access tokens name as their issuer (RFC 9068), and that "
        "`/.well-known/oauth-authorization-server` is published for. Tokens of another issuer are "
        "rejected, so a change logs out; tokens without one are accepted until they expire."),
    Setting("KEY_ROTATION_DAYS", integer(0, 3650), 90,
        "After how many days a signing key gets a successor by itself; 0 is never."),
    Setting("KEY_PUBLICATION_LEAD", duration, timedelta(minutes=10),
        "How long a key is published before it signs; twice as long as verifiers are told to keep "
        "what is published."),
    Setting("TOKEN_EXPIRATION_DAYS", integer(0, 3650), 30,
        "How long a token lives: days, to which the seconds are added."),
    Setting("TOKEN_EXPIRATION_SECONDS", integer(0, 86400), 0,
        "How long a token lives: seconds, added to the days."),
    Setting("SESSION_LIFETIME", duration, timedelta(days=365),
        "How long a session can be kept open by refreshing, like `90d` or `12h`."),
    Setting("SESSION_IDLE_LIFETIME", duration, timedelta(days=60),
        "How long a session that is not refreshed stays open: the life of a refresh token."),
    Setting("MAX_SESSIONS_PER_USER", integer(1, 10_000), 100,
        "How many sessions a user may have open; one more ends the oldest."),
)  # fmt: skip
