"""Add the address, user agent and last-seen time to sessions.

Revision: 0003, after 0002.
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

TIMESTAMP = sa.DateTime(timezone=True)
COLUMNS = {"address": sa.String(45), "user_agent": sa.String(200), "last_seen_at": TIMESTAMP}


def upgrade() -> None:
    with op.batch_alter_table("sessions") as sessions:
        for name, kind in COLUMNS.items():
            sessions.add_column(sa.Column(name, kind, nullable=True))
    op.execute("UPDATE sessions SET address = '', user_agent = '', last_seen_at = refreshed_at")
    with op.batch_alter_table("sessions") as sessions:
        for name, kind in COLUMNS.items():
            sessions.alter_column(name, existing_type=kind, nullable=False)


def downgrade() -> None:
    with op.batch_alter_table("sessions") as sessions:
        for name in COLUMNS:
            sessions.drop_column(name)
