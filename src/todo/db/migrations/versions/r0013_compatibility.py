"""Store the oldest program that works with the schema.

Revision ID: 0013
"""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

oldest_program = "0013"


def upgrade() -> None:
    """Create the table with its only row, which later migrations keep up to date."""
    table = op.create_table(
        "schema_compatibility",
        sa.Column("oldest_program", sa.String(4), nullable=False),
        sa.PrimaryKeyConstraint("oldest_program", name="pk_schema_compatibility"),
    )
    op.bulk_insert(table, [{"oldest_program": oldest_program}])


def downgrade() -> None:
    """Drop the table."""
    op.drop_table("schema_compatibility")
