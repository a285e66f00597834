"""Alembic environment, which runs inside the transaction of `todo.db.migrate`."""

from alembic import context

from todo.db.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    # SQLite alters a table by copying it.
    render_as_batch=True,
)
context.run_migrations()
