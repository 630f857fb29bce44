"""Add the network of the last refresh and a count of accepted previous tokens to sessions.

Revision: 0013, after 0012.
"""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("sessions") as sessions:
        sessions.add_column(sa.Column("refreshed_network", sa.String(45), nullable=True))
        sessions.add_column(
            sa.Column("grace_responses", sa.Integer(), nullable=False, server_default=sa.text("0"))
        )


def downgrade() -> None:
    with op.batch_alter_table("sessions") as sessions:
        sessions.drop_column("grace_responses")
        sessions.drop_column("refreshed_network")
