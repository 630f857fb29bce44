"""Reserve former usernames, and find the accounts to delete by an index.

Revision: 0017, after 0016.
"""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

REQUESTED = sa.text("deletion_requested_at IS NOT NULL")


def upgrade() -> None:
    op.create_table(
        "reserved_usernames",
        sa.Column("username_key", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("username_key", name="pk_reserved_usernames"),
        sa.ForeignKeyConstraint(
            ["user_id"],
            ["users.id"],
            name="fk_reserved_usernames_user_id_users",
            ondelete="SET NULL",
        ),
    )
    for column in ("user_id", "expires_at"):
        op.create_index(f"ix_reserved_usernames_{column}", "reserved_usernames", [column])
    op.create_index(
        "ix_users_deletion_requested_at",
        "users",
        ["deletion_requested_at"],
        postgresql_where=REQUESTED,
        sqlite_where=REQUESTED,
    )


def downgrade() -> None:
    op.drop_index("ix_users_deletion_requested_at", "users")
    op.drop_table("reserved_usernames")
