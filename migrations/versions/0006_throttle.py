"""Create the tables for rate limits and for the known networks of each account.

Revision: 0006, after 0005.
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

TIMESTAMP = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "throttle",
        sa.Column("scope", sa.String(20), nullable=False),
        sa.Column("subject", sa.String(320), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("blocked_until", TIMESTAMP, nullable=False),
        sa.Column("expires_at", TIMESTAMP, nullable=False),
        sa.PrimaryKeyConstraint("scope", "subject", name="pk_throttle"),
    )
    op.create_index("ix_throttle_expires_at", "throttle", ["expires_at"])
    op.create_table(
        "known_networks",
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("network", sa.String(45), nullable=False),
        sa.Column("last_login_at", TIMESTAMP, nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name="fk_known_networks_user_id_users", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("user_id", "network", name="pk_known_networks"),
    )
    op.create_index("ix_known_networks_last_login_at", "known_networks", ["last_login_at"])


def downgrade() -> None:
    op.drop_table("known_networks")
    op.drop_table("throttle")
