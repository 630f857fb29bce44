"""Keep one-time tokens, and when an address was verified or a person authenticated.

Revision: 0016, after 0015.
"""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)
OF_USERS = {
    "email_verified_at": MOMENT,
    "mail_refused_at": MOMENT,
    "language": sa.String(8),
    "deletion_requested_at": MOMENT,
}


def upgrade() -> None:
    op.create_table(
        "one_time_tokens",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("purpose", sa.String(32), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=True),
        sa.Column("address_key", sa.Text(), nullable=False),
        sa.Column("new_email", sa.String(254), nullable=True),
        sa.Column("session_id", sa.Uuid(), nullable=True),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("expires_at", MOMENT, nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("used_at", MOMENT, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_one_time_tokens"),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name="fk_one_time_tokens_user_id_users", ondelete="CASCADE"
        ),
    )
    for column in ("user_id", "address_key", "expires_at"):
        op.create_index(f"ix_one_time_tokens_{column}", "one_time_tokens", [column])
    with op.batch_alter_table("users") as users:
        for name, kind in OF_USERS.items():
            users.add_column(sa.Column(name, kind, nullable=True))
    with op.batch_alter_table("sessions") as sessions:
        sessions.add_column(sa.Column("authenticated_at", MOMENT, nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("sessions") as sessions:
        sessions.drop_column("authenticated_at")
    with op.batch_alter_table("users") as users:
        for name in reversed(OF_USERS):
            users.drop_column(name)
    op.drop_table("one_time_tokens")
