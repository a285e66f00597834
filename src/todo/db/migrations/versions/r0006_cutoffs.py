"""Add the time up to which a user's JSON Web Tokens are revoked.

Revision ID: 0006
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_TIME = sa.DateTime(timezone=True).with_variant(sa.String(32), "sqlite")


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "token_cutoff",
        sa.Column("user_id", sa.String(255), nullable=False),
        sa.Column("cutoff_at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("user_id", name="pk_token_cutoff"),
    )
    op.create_index("ix_token_cutoff_at", "token_cutoff", ["cutoff_at", "user_id"])


def downgrade() -> None:
    """Drop the table."""
    op.drop_table("token_cutoff")
