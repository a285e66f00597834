"""Add lists, tags, due times, recurrence, the journal, stored responses and API tokens.

Revision ID: 0002
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_ID = sa.Uuid(as_uuid=False).with_variant(sa.String(36), "sqlite")
_TIME = sa.DateTime(timezone=True).with_variant(sa.String(32), "sqlite")
_DAY = sa.Date().with_variant(sa.String(10), "sqlite")


def upgrade() -> None:
    """Create the new tables, and copy the tasks into a new task table."""
    _create_owners()
    _create_tasks()
    _create_derived()
    _create_journal()
    _create_access()


def _create_owners() -> None:
    op.create_table(
        "account",
        sa.Column("owner", sa.String(255), nullable=False),
        sa.Column("zone", sa.String(64), nullable=False),
        sa.Column("chain_id", _ID, nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("owner", name=op.f("pk_account")),
    )
    op.create_table(
        "list",
        sa.Column("id", _ID, nullable=False),
        sa.Column("owner", sa.String(255), nullable=False),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("position", sa.Double(), nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("updated_at", _TIME, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_list")),
    )
    op.create_index("ix_list_owner_id", "list", ["owner", "id"])
    op.create_table(
        "list_share",
        sa.Column("list_id", _ID, nullable=False),
        sa.Column("user_id", sa.String(255), nullable=False),
        sa.Column("access", sa.String(5), nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.CheckConstraint("access IN ('read', 'write')", name=op.f("ck_list_share_access")),
        sa.ForeignKeyConstraint(
            ["list_id"], ["list.id"], name=op.f("fk_list_share_list_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("list_id", "user_id", name=op.f("pk_list_share")),
    )
    op.create_index("ix_list_share_user_id_list_id", "list_share", ["user_id", "list_id"])


def _create_tasks() -> None:
    """Create a new task table: SQLite cannot alter the old one, and ID and time formats change."""
    op.drop_index("ix_task_owner_id", "task")
    op.rename_table("task", "task_0001")
    postgresql = op.get_context().dialect.name == "postgresql"
    if postgresql:
        # Constraint names must be unique in a schema.
        for name in (
            "pk_task",
            "ck_task_ck_task_title_length",
            "ck_task_ck_task_description_length",
        ):
            op.execute(f"ALTER TABLE task_0001 RENAME CONSTRAINT {name} TO {name}_0001")
    op.create_table(
        "task",
        sa.Column("id", _ID, nullable=False),
        sa.Column("owner", sa.String(255), nullable=False),
        sa.Column("list_id", _ID, nullable=True),
        sa.Column("parent_id", _ID, nullable=True),
        sa.Column("title", sa.String(255), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("priority", sa.SmallInteger(), nullable=False),
        sa.Column("tags", sa.JSON(), nullable=False),
        sa.Column("due_date", _DAY, nullable=True),
        sa.Column("due_at", _TIME, nullable=True),
        sa.Column("due_zone", sa.String(64), nullable=True),
        sa.Column("due_key", _TIME, nullable=False),
        sa.Column("recurrence", sa.String(512), nullable=True),
        sa.Column("recurrence_from", sa.String(10), nullable=False),
        sa.Column("reminders", sa.JSON(), nullable=False),
        sa.Column("position", sa.Double(), nullable=False),
        sa.Column("completed_at", _TIME, nullable=True),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("updated_at", _TIME, nullable=False),
        sa.Column("previous_id", _ID, nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint("length(title) BETWEEN 1 AND 255", name=op.f("ck_task_title_length")),
        sa.CheckConstraint("length(description) <= 10000", name=op.f("ck_task_description_length")),
        sa.CheckConstraint("priority BETWEEN 0 AND 3", name=op.f("ck_task_priority")),
        sa.CheckConstraint("due_date IS NULL OR due_at IS NULL", name=op.f("ck_task_one_due")),
        sa.ForeignKeyConstraint(["list_id"], ["list.id"], name=op.f("fk_task_list_id")),
        sa.ForeignKeyConstraint(
            ["parent_id"],
            ["task.id"],
            name=op.f("fk_task_parent_id"),
            ondelete="CASCADE",
            deferrable=True,
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_task")),
    )
    op.execute(_COLUMNS + (_FROM_POSTGRESQL if postgresql else _FROM_SQLITE))
    op.drop_table("task_0001")
    for columns in (
        ["owner", "id"],
        ["owner", "updated_at", "id"],
        ["owner", "due_key", "id"],
        ["owner", "priority", "id"],
        ["owner", "title", "id"],
        ["owner", "list_id", "id"],
        ["owner", "list_id", "position", "id"],
        ["list_id"],
        ["parent_id", "id"],
    ):
        op.create_index(f"ix_task_{'_'.join(columns)}", "task", columns)
    is_open = sa.text("completed_at IS NULL")
    for name, columns in (
        ("ix_task_open", ["owner", "id"]),
        ("ix_task_open_due", ["owner", "due_key", "id"]),
    ):
        op.create_index(name, "task", columns, postgresql_where=is_open, sqlite_where=is_open)
    follows = sa.text("previous_id IS NOT NULL")
    op.create_index(
        "ix_task_previous", "task", ["previous_id"], postgresql_where=follows, sqlite_where=follows
    )


_COLUMNS = (
    "INSERT INTO task (id, owner, title, description, priority, tags, due_key, recurrence_from,"
    " reminders, position, completed_at, created_at, updated_at, version) "
)
_FROM_POSTGRESQL = (
    "SELECT id, owner, title, description, 0, '[]', '9999-12-31T00:00:00+00:00', 'schedule', '[]',"
    " extract(epoch FROM created_at), completed_at, created_at, updated_at, 1 FROM task_0001"
)
# IDs had 32 digits without hyphens; times had a space instead of the `T`, and no zone.
_FROM_SQLITE = (
    "SELECT substr(id, 1, 8) || '-' || substr(id, 9, 4) || '-' || substr(id, 13, 4) || '-'"
    " || substr(id, 17, 4) || '-' || substr(id, 21), owner, title, description, 0, '[]',"
    " '9999-12-31T00:00:00+00:00', 'schedule', '[]', unixepoch(created_at),"
    " replace(completed_at, ' ', 'T') || '+00:00', replace(created_at, ' ', 'T') || '+00:00',"
    " replace(updated_at, ' ', 'T') || '+00:00', 1 FROM task_0001"
)


def _create_derived() -> None:
    op.create_table(
        "task_tag",
        sa.Column("owner", sa.String(255), nullable=False),
        sa.Column("tag", sa.String(50), nullable=False),
        sa.Column("task_id", _ID, nullable=False),
        sa.ForeignKeyConstraint(
            ["task_id"], ["task.id"], name=op.f("fk_task_tag_task_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("owner", "tag", "task_id", name=op.f("pk_task_tag")),
    )
    op.create_index("ix_task_tag_task_id", "task_tag", ["task_id"])
    op.create_table(
        "reminder",
        sa.Column("task_id", _ID, nullable=False),
        sa.Column("fire_at", _TIME, nullable=False),
        sa.Column("owner", sa.String(255), nullable=False),
        sa.ForeignKeyConstraint(
            ["task_id"], ["task.id"], name=op.f("fk_reminder_task_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("task_id", "fire_at", name=op.f("pk_reminder")),
    )
    op.create_index("ix_reminder_fire_at", "reminder", ["fire_at"])


def _create_journal() -> None:
    op.create_table(
        "journal",
        sa.Column("owner", sa.String(255), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("at", _TIME, nullable=False),
        sa.Column("actor", sa.String(255), nullable=True),
        sa.Column("token_id", _ID, nullable=True),
        sa.Column("agent", sa.String(64), nullable=True),
        sa.Column("model", sa.String(64), nullable=True),
        sa.Column("run_id", sa.String(64), nullable=True),
        sa.Column("operation", sa.String(16), nullable=True),
        sa.Column("kind", sa.String(16), nullable=True),
        sa.Column("entity_id", sa.String(255), nullable=True),
        sa.Column("list_id", _ID, nullable=True),
        sa.Column("before", sa.Text(), nullable=True),
        sa.Column("after", sa.Text(), nullable=True),
        sa.Column("salt", sa.LargeBinary(), nullable=True),
        sa.Column("commitment", sa.LargeBinary(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("owner", "seq", name=op.f("pk_journal")),
    )
    for column in ("list_id", "run_id", "entity_id"):
        op.create_index(f"ix_journal_owner_{column}_seq", "journal", ["owner", column, "seq"])
    op.create_table(
        "idempotency",
        sa.Column("user_id", sa.String(255), nullable=False),
        sa.Column("key", sa.String(255), nullable=False),
        sa.Column("fingerprint", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("status", sa.SmallInteger(), nullable=True),
        sa.Column("headers", sa.Text(), nullable=True),
        sa.Column("body", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("user_id", "key", name=op.f("pk_idempotency")),
    )
    op.create_index("ix_idempotency_created_at", "idempotency", ["created_at"])


def _create_access() -> None:
    op.create_table(
        "api_token",
        sa.Column("id", _ID, nullable=False),
        sa.Column("owner", sa.String(255), nullable=False),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("scopes", sa.String(100), nullable=False),
        sa.Column("list_id", _ID, nullable=True),
        sa.Column("agent", sa.String(64), nullable=True),
        sa.Column("require_key", sa.Boolean(), nullable=False),
        sa.Column("require_match", sa.Boolean(), nullable=False),
        sa.Column("writes_per_hour", sa.Integer(), nullable=True),
        sa.Column("hour", _TIME, nullable=True),
        sa.Column("writes", sa.Integer(), nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("expires_at", _TIME, nullable=True),
        sa.ForeignKeyConstraint(
            ["list_id"], ["list.id"], name=op.f("fk_api_token_list_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_token")),
    )
    op.create_index("ix_api_token_owner_id", "api_token", ["owner", "id"])
    op.create_index("ix_api_token_list_id", "api_token", ["list_id"])


def downgrade() -> None:
    """Raise an error: this revision can only be reverted by restoring a backup."""
    msg = "restore a backup from before revision 0002"
    raise RuntimeError(msg)
