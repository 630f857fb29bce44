"""Add an index for finding the open sessions of a user.

Revision: 0009, after 0008.
"""

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_sessions_user_id_ended_at", "sessions", ["user_id", "ended_at"])
    op.drop_index("ix_sessions_user_id", "sessions")


def downgrade() -> None:
    op.create_index("ix_sessions_user_id", "sessions", ["user_id"])
    op.drop_index("ix_sessions_user_id_ended_at", "sessions")
