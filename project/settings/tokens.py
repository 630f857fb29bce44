"""Settings of secrets, tokens, signing keys and sessions."""

from datetime import timedelta

from project.security.signing_keys import Algorithm
from project.settings.parsers import choice, duration, integer, issuer, secrets, string
from project.settings.setting import Setting

TOKENS = (
    Setting("SECRET_KEY", string, None,
        "Secret that signs tokens and encrypts stored signing keys: at least 32 random bytes. "
        "Required in production and staging. Elsewhere it is generated once and stored in the "
        "instance folder with mode 600.", secret=True),
    Setting("SECRET_KEY_FALLBACKS", secrets, [],
        "Previous secrets, separated by commas: accepted for verification and decryption, never "
        "used to sign or encrypt.", secret=True),
    Setting("TOKEN_ALGORITHM", choice(*Algorithm), Algorithm.HS256,
        "Signature algorithm of access tokens: `HS256` with `SECRET_KEY`, or `ES256` or `EdDSA` "
        "with key pairs whose public keys are published at `/.well-known/jwks.json`."),
    Setting("TOKEN_ISSUER", issuer, None,
        "Issuer of access tokens (`iss`, RFC 9068): an `https` URL. Setting it also enables "
        "`/.well-known/oauth-authorization-server`. Access tokens of another issuer are rejected; "
        "tokens without an issuer are accepted until they expire."),
    Setting("KEY_ROTATION_DAYS", integer(0, 3650), 90,
        "Maximum age of a signing key, in days, before the service creates the next one; 0 "
        "disables automatic rotation."),
    Setting("KEY_PUBLICATION_LEAD", duration, timedelta(minutes=10),
        "Time from the publication of a new signing key until it signs tokens. The `max-age` of "
        "`/.well-known/jwks.json` is half of it."),
    Setting("TOKEN_EXPIRATION_DAYS", integer(0, 3650), 30,
        "Lifetime of an access token, in days."),
    Setting("TOKEN_EXPIRATION_SECONDS", integer(0, 86400), 0,
        "Seconds added to `TOKEN_EXPIRATION_DAYS`."),
    Setting("SESSION_LIFETIME", duration, timedelta(days=365),
        "Maximum lifetime of a session, such as `90d` or `12h`; a refresh does not extend it."),
    Setting("SESSION_IDLE_LIFETIME", duration, timedelta(days=60),
        "Lifetime of a refresh token. A client that does not refresh for this long must log in "
        "again."),
    Setting("MAX_SESSIONS_PER_USER", integer(1, 10_000), 100,
        "Maximum number of open sessions per user; a further login ends the oldest session."),
)  # fmt: skip
