"""Add counters for the number of each account's tasks and the size of its tasks and lists.

Revision ID: 0007
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the counters with null values; an account is counted when a quota needs it."""
    for name in ("tasks", "size"):
        op.add_column("account", sa.Column(name, sa.BigInteger(), nullable=True))


def downgrade() -> None:
    """Drop the counters."""
    for name in ("tasks", "size"):
        op.drop_column("account", name)
