"""Compare the domains of e-mail addresses by their ASCII form.

Revision: 0012, after 0011. The key of an address that is ASCII alone does not change.

Two accounts whose addresses were different before, and are the same one now, both stay. The older
one gets the address, and login by e-mail does not find the other one until its address is changed.
A warning in the log names both.
"""

import logging
import unicodedata
from collections.abc import Callable

import sqlalchemy as sa
from alembic import op

from project.security import identifiers

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

BATCH_SIZE = 1000
USERS = sa.table(
    "users",
    sa.column("id", sa.Integer),
    sa.column("email", sa.Text),
    sa.column("email_key", sa.Text),
)

SET_KEY = (
    USERS.update()
    .where(USERS.c.id == sa.bindparam("user_id"))
    .values(email_key=sa.bindparam("key"))
)
User = sa.Row[int, str, str]

log = logging.getLogger("migrations")


def upgrade() -> None:
    recompute(identifiers.email_key)


def downgrade() -> None:
    recompute(previous_key)


def recompute(key_of: Callable[[str], str]) -> None:
    """Give every account the key of its address, the oldest accounts first."""
    connection = op.get_bind()
    last_id = 0
    while users := connection.execute(batch(connection, last_id)).all():
        last_id = users[-1].id
        keys = {user: key_of(user.email) for user in users}
        rekey(connection, {user: key for user, key in keys.items() if key != user.email_key})


def rekey(connection: sa.Connection, keys: dict[User, str]) -> None:
    """Give these accounts their keys: those that are free at once, and then one by one."""
    held = sa.select(USERS.c.email_key).where(USERS.c.email_key.in_(set(keys.values())))
    taken = set(connection.scalars(held))
    free, disputed = [], []
    for user, key in keys.items():
        (disputed if key in taken else free).append((user, key))
        taken.add(key)
    if free:
        connection.execute(SET_KEY, [{"user_id": user.id, "key": key} for user, key in free])
    for user, key in disputed:
        settle(connection, user, key)


def batch(connection: sa.Connection, last_id: int) -> sa.Select[int, str, str]:
    """Return the statement for the next accounts whose addresses are not ASCII alone."""
    if connection.dialect.name == "postgresql":
        size = sa.func.octet_length(USERS.c.email)
    else:
        size = sa.func.length(sa.cast(USERS.c.email, sa.LargeBinary))
    some = sa.select(USERS.c.id, USERS.c.email, USERS.c.email_key)
    some = some.where(USERS.c.id > last_id, size > sa.func.length(USERS.c.email))
    return some.order_by(USERS.c.id).limit(BATCH_SIZE)


def settle(connection: sa.Connection, user: User, key: str) -> None:
    """Give the older of two accounts, this one and the one that has the key, the key."""
    holder = connection.execute(sa.select(USERS.c.id).where(USERS.c.email_key == key)).scalar_one()
    older, younger = sorted((holder, user.id))
    log.warning("users %d and %d have the same e-mail address: %d has it", older, younger, older)
    if older == user.id:
        # Keys are unique at every moment: the first one here is no key of any address.
        for user_id, next_key in (
            (holder, f"{key} {holder}"),
            (older, key),
            (holder, user.email_key),
        ):
            connection.execute(SET_KEY, {"user_id": user_id, "key": next_key})


def previous_key(email: str) -> str:
    """Return the key as it was before this migration."""
    key = unicodedata.normalize("NFKC", email)
    return "".join(letter.lower() if letter.isascii() else letter for letter in key)
