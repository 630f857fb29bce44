"""Store no e-mail address that was typed: delete the counts that name one.

Revision: 0011, after 0010.
"""

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("DELETE FROM throttle")


def downgrade() -> None:
    op.execute("DELETE FROM throttle")
