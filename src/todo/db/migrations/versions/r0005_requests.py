"""Add the request number of journal entries, and an index of the entries of each token.

Revision ID: 0005
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_BY_TOKEN = sa.text("token_id IS NOT NULL")


def upgrade() -> None:
    """Add the column and the index; existing entries get null and are grouped by their time."""
    op.add_column("journal", sa.Column("request_seq", sa.BigInteger(), nullable=True))
    op.create_index(
        "ix_journal_token",
        "journal",
        ["owner", "token_id", "seq"],
        postgresql_where=_BY_TOKEN,
        sqlite_where=_BY_TOKEN,
    )


def downgrade() -> None:
    """Drop the index and the column."""
    op.drop_index("ix_journal_token", "journal")
    op.drop_column("journal", "request_seq")
