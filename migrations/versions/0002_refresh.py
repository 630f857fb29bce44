"""Add refresh tokens to sessions.

Revision: 0002, after 0001.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

TIMESTAMP = sa.DateTime(timezone=True)


def upgrade() -> None:
    with op.batch_alter_table("sessions") as sessions:
        sessions.add_column(sa.Column("generation", sa.Integer(), nullable=True))
        sessions.add_column(sa.Column("refreshed_at", TIMESTAMP, nullable=True))
    op.execute("UPDATE sessions SET generation = 0, refreshed_at = created_at")
    with op.batch_alter_table("sessions") as sessions:
        sessions.alter_column("generation", existing_type=sa.Integer(), nullable=False)
        sessions.alter_column("refreshed_at", existing_type=TIMESTAMP, nullable=False)


def downgrade() -> None:
    with op.batch_alter_table("sessions") as sessions:
        sessions.drop_column("refreshed_at")
        sessions.drop_column("generation")
