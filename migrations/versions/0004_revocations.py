"""Create the table for the feed of revoked sessions.

Revision: 0004, after 0003.
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

TIMESTAMP = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "revocations",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("session_id", sa.Uuid(), nullable=False),
        sa.Column("ended_at", TIMESTAMP, nullable=False),
        sa.Column("expires_at", TIMESTAMP, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_revocations"),
        sqlite_autoincrement=True,
    )
    op.execute(
        "INSERT INTO revocations (session_id, ended_at, expires_at) "
        "SELECT id, ended_at, expires_at FROM sessions WHERE ended_at IS NOT NULL ORDER BY ended_at"
    )


def downgrade() -> None:
    op.drop_table("revocations")
