"""Rename a column of the rate limits to audited_until.

Revision: 0014, after 0013.
"""

from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("throttle") as throttle:
        throttle.alter_column("told_until", new_column_name="audited_until")


def downgrade() -> None:
    with op.batch_alter_table("throttle") as throttle:
        throttle.alter_column("audited_until", new_column_name="told_until")
