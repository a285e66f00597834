"""Recompute search words for scripts without spaces: with digits, more scripts, fewer separators.

Revision ID: 0010

The migration runs in one transaction, in batches: if it is interrupted, nothing has changed. Only
the words change, which are derived from a task, so its version and the journal stay unchanged.
"""

import sqlalchemy as sa
from alembic import op

# If the rules for words change, a later revision computes the words again.
from todo.text.search_words import render_searched

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_ID = sa.Uuid(as_uuid=False).with_variant(sa.String(36), "sqlite")
# A task can have more than 10,000 characters, and its words can be several times as long.
_BATCH = 100
_TASK = sa.table(
    "task",
    sa.column("id", _ID),
    sa.column("owner", sa.String()),
    sa.column("title", sa.String()),
    sa.column("description", sa.Text()),
    sa.column("words", sa.Text()),
)
_FIRST = sa.select(_TASK).order_by(_TASK.c.id).limit(_BATCH)
_FOLLOWING = _FIRST.where(_TASK.c.id > sa.bindparam("after", type_=_ID))
_SET_WORDS = (
    sa.update(_TASK)
    .where(_TASK.c.id == sa.bindparam("of", type_=_ID))
    .values(words=sa.bindparam("searched", type_=sa.Text()))
)


def upgrade() -> None:
    """Recompute the words of all tasks, and store those that have changed."""
    connection = op.get_bind()
    if connection.dialect.name == "postgresql":
        # A backend of the previous version may still write. Without the lock, a text that it
        # changes between the read and the update would get the words of the old text.
        op.execute("LOCK TABLE task IN SHARE ROW EXCLUSIVE MODE")
    rows = connection.execute(_FIRST).all()
    while rows:
        made = [(row, render_searched(row.owner, row.title, row.description)) for row in rows]
        changed = [{"of": row.id, "searched": words} for row, words in made if words != row.words]
        if changed:
            connection.execute(_SET_WORDS, changed)
        rows = connection.execute(_FOLLOWING, {"after": rows[-1].id}).all()


def downgrade() -> None:
    """Raise an error: this revision can only be reverted by restoring a backup."""
    msg = "restore a backup from before revision 0010"
    raise RuntimeError(msg)
