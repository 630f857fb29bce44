"""Find the accounts that were never verified by an index.

Revision: 0018, after 0017.
"""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

UNVERIFIED = sa.text("email_verified_at IS NULL")


def upgrade() -> None:
    op.create_index(
        "ix_users_created_at",
        "users",
        ["created_at"],
        postgresql_where=UNVERIFIED,
        sqlite_where=UNVERIFIED,
    )


def downgrade() -> None:
    op.drop_index("ix_users_created_at", "users")
