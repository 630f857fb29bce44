"""Every contestant, by its name."""

from bench.contestants.contestant import Contestant
from bench.contestants.flasks import FlaskJWTExtended, FlaskSecurity, Tutorial
from bench.contestants.others import (
    BetterAuth,
    DjangoSimpleJWT,
    FastAPIUsersDatabase,
    FastAPIUsersJWT,
)
from bench.contestants.ours import BareFlask, Users, UsersGunicorn

CONTESTANTS: dict[str, Contestant] = {
    one.name: one
    for one in (
        BareFlask(),
        Users(),
        UsersGunicorn(),
        Tutorial(),
        FlaskJWTExtended(),
        FlaskSecurity(),
        DjangoSimpleJWT(),
        FastAPIUsersJWT(),
        FastAPIUsersDatabase(),
        BetterAuth(),
    )
}
