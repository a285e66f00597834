"""Add plans: changes that are previewed first and applied later.

Revision ID: 0011
"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_ID = sa.Uuid(as_uuid=False).with_variant(sa.String(36), "sqlite")
_TIME = sa.DateTime(timezone=True).with_variant(sa.String(32), "sqlite")


def upgrade() -> None:
    """Create an empty table."""
    op.create_table(
        "plan",
        sa.Column("id", _ID, nullable=False),
        sa.Column("owner", sa.String(255), nullable=False),
        sa.Column("list_id", _ID, nullable=True),
        sa.Column("token_id", _ID, nullable=True),
        sa.Column("agent", sa.String(64), nullable=True),
        sa.Column("model", sa.String(64), nullable=True),
        sa.Column("run_id", sa.String(64), nullable=False),
        sa.Column("reason", sa.String(500), nullable=True),
        sa.Column("operations", sa.Text(), nullable=False),
        sa.Column("changes", sa.Text(), nullable=False),
        sa.Column("summary", sa.Text(), nullable=False),
        sa.Column("expected", sa.Text(), nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("expires_at", _TIME, nullable=False),
        sa.Column("applied_at", _TIME, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_plan"),
    )
    op.create_index("ix_plan_owner_id", "plan", ["owner", "id"])
    op.create_index("ix_plan_expires_at", "plan", ["expires_at"])


def downgrade() -> None:
    """Drop the table."""
    op.drop_table("plan")
