"""Add the last use of API tokens.

Revision ID: 0004
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_TIME = sa.DateTime(timezone=True).with_variant(sa.String(32), "sqlite")


def upgrade() -> None:
    """Add the column with null values."""
    op.add_column("api_token", sa.Column("last_used_at", _TIME, nullable=True))


def downgrade() -> None:
    """Drop the column."""
    op.drop_column("api_token", "last_used_at")
