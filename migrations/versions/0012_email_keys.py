"""Compare the domains of e-mail addresses by their ASCII form.

Revision: 0012, after 0011. The key of an ASCII address does not change.

Two addresses that were different before can have the same key now. Both accounts stay, and the
older one gets the key. Login by e-mail does not find the younger one until its address is changed.
A warning in the log names both accounts.
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
    recompute(compute_previous_key)


def recompute(compute_key: Callable[[str], str]) -> None:
    """Recompute the keys of all accounts, the oldest accounts first."""
    connection = op.get_bind()
    last_id = 0
    while users := connection.execute(select_batch(connection, last_id)).all():
        last_id = users[-1].id
        keys = {user: compute_key(user.email) for user in users}
        set_keys(connection, {user: key for user, key in keys.items() if key != user.email_key})


def set_keys(connection: sa.Connection, keys: dict[User, str]) -> None:
    """Set the keys of these accounts: unused keys in one statement, the others one by one."""
    used = sa.select(USERS.c.email_key).where(USERS.c.email_key.in_(set(keys.values())))
    taken = set(connection.scalars(used))
    free, disputed = [], []
    for user, key in keys.items():
        (disputed if key in taken else free).append((user, key))
        taken.add(key)
    if free:
        connection.execute(SET_KEY, [{"user_id": user.id, "key": key} for user, key in free])
    for user, key in disputed:
        resolve_conflict(connection, user, key)


def select_batch(connection: sa.Connection, last_id: int) -> sa.Select[int, str, str]:
    """Return the statement for the next accounts with a non-ASCII address."""
    if connection.dialect.name == "postgresql":
        size = sa.func.octet_length(USERS.c.email)
    else:
        size = sa.func.length(sa.cast(USERS.c.email, sa.LargeBinary))
    statement = sa.select(USERS.c.id, USERS.c.email, USERS.c.email_key)
    statement = statement.where(USERS.c.id > last_id, size > sa.func.length(USERS.c.email))
    return statement.order_by(USERS.c.id).limit(BATCH_SIZE)


def resolve_conflict(connection: sa.Connection, user: User, key: str) -> None:
    """Give the key to the older of two accounts: this user or the current holder of the key."""
    holder = connection.execute(sa.select(USERS.c.id).where(USERS.c.email_key == key)).scalar_one()
    older, younger = sorted((holder, user.id))
    log.warning(
        "users %d and %d have the same e-mail address: only user %d can log in with it",
        older,
        younger,
        older,
    )
    if older == user.id:
        # Keys are unique at all times, so the holder first gets a key that no address can have.
        for user_id, next_key in (
            (holder, f"{key} {holder}"),
            (older, key),
            (holder, user.email_key),
        ):
            connection.execute(SET_KEY, {"user_id": user_id, "key": next_key})


def compute_previous_key(email: str) -> str:
    """Return the key of an address by the rule before this migration."""
    key = unicodedata.normalize("NFKC", email)
    return "".join(letter.lower() if letter.isascii() else letter for letter in key)
