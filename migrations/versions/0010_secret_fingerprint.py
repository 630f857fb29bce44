"""Create the table for the fingerprint of the shared secret.

Revision: 0010, after 0009.
"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "secret_fingerprint",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("salt", sa.String(32), nullable=False),
        sa.Column("fingerprint", sa.String(8), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_secret_fingerprint"),
    )


def downgrade() -> None:
    op.drop_table("secret_fingerprint")
