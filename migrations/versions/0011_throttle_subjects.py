"""Delete the counters of the rate limits, which contain e-mail addresses.

Revision: 0011, after 0010. New counters contain a digest of the address instead.
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
