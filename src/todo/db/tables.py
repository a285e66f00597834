"""Tables, and the schema revisions that this program works with.

Values are passed to drivers in their JSON form: IDs, dates and times as text. The column types
define how each database stores them.
"""

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    DateTime,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
    Uuid,
)

# Oldest first; a unit test compares them with the scripts, so that serving never imports Alembic.
REVISIONS = (
    *("0001", "0002", "0003", "0004", "0005", "0006", "0007", "0008", "0009", "0010"),
    *("0011", "0012", "0013"),
)
EXPECTED_REVISION = REVISIONS[-1]
CONTRACTS: tuple[str, ...] = ()
"""Later revisions that only the contract step applies (ADR 85).

They remove what this program no longer uses, so it works before and after them.
"""

USER_LENGTH = 255
LIST_NAME_LENGTH = 100
TITLE_LENGTH = 255
DESCRIPTION_LENGTH = 10_000
MAX_POSITION = 1e15
TAG_LENGTH = 50
PLAN_REASON_LENGTH = 500
CONVERSATION_TITLE_LENGTH = 100
MESSAGE_LENGTH = 10_000
MESSAGE_ROW_BYTES = 1024
"""Bytes counted per conversation or message in addition to its text, to limit their number."""

NO_DUE = "9999-12-31T00:00:00.000000+00:00"
"""Sort key of tasks without a due time: after all others, and with the same number of digits."""

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    }
)

# SQLite lacks these types; text in one fixed format sorts like the values.
Id = Uuid(as_uuid=False).with_variant(String(36), "sqlite")
Time = DateTime(timezone=True).with_variant(String(32), "sqlite")
Day = Date().with_variant(String(10), "sqlite")

account = Table(
    "account",
    metadata,
    Column("owner", String(USER_LENGTH), primary_key=True),
    Column("zone", String(64), nullable=False),
    # Hash chain of the owner's journal: its ID, which the hashes include, and its head.
    Column("chain_id", Id, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("hash", LargeBinary, nullable=False),
    Column("created_at", Time, nullable=False),
    # Storage used by the account (`todo.writes.storage_quota`); null until it is counted.
    Column("tasks", BigInteger, nullable=True),
    Column("size", BigInteger, nullable=True),
)

task_list = Table(
    "list",
    metadata,
    Column("id", Id, primary_key=True),
    Column("owner", String(USER_LENGTH), nullable=False),
    Column("name", String(LIST_NAME_LENGTH), nullable=False),
    Column("position", Double, nullable=False),
    Column("created_at", Time, nullable=False),
    Column("updated_at", Time, nullable=False),
    Column("version", Integer, nullable=False),
    Index(None, "owner", "id"),
)

list_share = Table(
    "list_share",
    metadata,
    Column("list_id", Id, ForeignKey("list.id", ondelete="CASCADE"), primary_key=True),
    Column("user_id", String(USER_LENGTH), primary_key=True),
    Column("access", String(5), nullable=False),
    Column("created_at", Time, nullable=False),
    CheckConstraint("access IN ('read', 'write')", name="access"),
    Index(None, "user_id", "list_id"),
)

task = Table(
    "task",
    metadata,
    Column("id", Id, primary_key=True),
    Column("owner", String(USER_LENGTH), nullable=False),
    Column("list_id", Id, ForeignKey("list.id"), nullable=True),
    # Deferrable for an import, whose tasks are in any order.
    Column(
        "parent_id", Id, ForeignKey("task.id", ondelete="CASCADE", deferrable=True), nullable=True
    ),
    Column("title", String(255), nullable=False),
    Column("description", Text, nullable=True),
    Column("priority", SmallInteger, nullable=False),
    Column("tags", JSON, nullable=False),
    Column("due_date", Day, nullable=True),
    Column("due_at", Time, nullable=True),
    Column("due_zone", String(64), nullable=True),
    # Sort key for the order by due time (`todo.schedule.due.due_key`), or NO_DUE.
    Column("due_key", Time, nullable=False),
    Column("recurrence", String(512), nullable=True),
    Column("recurrence_from", String(10), nullable=False),
    Column("reminders", JSON, nullable=False),
    Column("position", Double, nullable=False),
    Column("completed_at", Time, nullable=True),
    Column("created_at", Time, nullable=False),
    Column("updated_at", Time, nullable=False),
    Column("previous_id", Id, nullable=True),
    Column("version", Integer, nullable=False),
    # Text for searches (`todo.text.search_words.render_searched`).
    Column("words", Text, nullable=False),
    CheckConstraint("length(title) BETWEEN 1 AND 255", name="title_length"),
    CheckConstraint("length(description) <= 10000", name="description_length"),
    CheckConstraint("priority BETWEEN 0 AND 3", name="priority"),
    CheckConstraint("due_date IS NULL OR due_at IS NULL", name="one_due"),
    # One index per sort order and per filter of a page.
    Index(None, "owner", "id"),
    Index(None, "owner", "updated_at", "id"),
    Index(None, "owner", "due_key", "id"),
    Index(None, "owner", "priority", "id"),
    Index(None, "owner", "title", "id"),
    Index(None, "owner", "list_id", "id"),
    Index(None, "owner", "list_id", "position", "id"),
    # Also for the foreign keys.
    Index(None, "list_id"),
    Index(None, "parent_id", "id"),
)

# Most tasks of a long-lived account are completed: finding open ones must not read them.
_is_open = task.c.completed_at.is_(None)
Index(
    "ix_task_open",
    task.c.owner,
    task.c.id,
    postgresql_where=_is_open,
    sqlite_where=_is_open,
)
Index(
    "ix_task_open_due",
    task.c.owner,
    task.c.due_key,
    task.c.id,
    postgresql_where=_is_open,
    sqlite_where=_is_open,
)

# Few tasks are the next occurrence of another one.
_follows = task.c.previous_id.is_not(None)
Index("ix_task_previous", task.c.previous_id, postgresql_where=_follows, sqlite_where=_follows)

# Derived from task.tags: the tasks of each tag, newest first.
task_tag = Table(
    "task_tag",
    metadata,
    Column("owner", String(USER_LENGTH), primary_key=True),
    Column("tag", String(TAG_LENGTH), primary_key=True),
    Column("task_id", Id, ForeignKey("task.id", ondelete="CASCADE"), primary_key=True),
    Index(None, "task_id"),
)

# Derived from task.reminders and the due time: reminders that are still to be delivered.
reminder = Table(
    "reminder",
    metadata,
    Column("task_id", Id, ForeignKey("task.id", ondelete="CASCADE"), primary_key=True),
    Column("fire_at", Time, primary_key=True),
    Column("owner", String(USER_LENGTH), nullable=False),
    Index(None, "fire_at"),
)

journal = Table(
    "journal",
    metadata,
    Column("owner", String(USER_LENGTH), primary_key=True),
    Column("seq", BigInteger, primary_key=True),
    Column("at", Time, nullable=False),
    Column("actor", String(USER_LENGTH), nullable=True),
    Column("token_id", Id, nullable=True),
    Column("agent", String(64), nullable=True),
    Column("model", String(64), nullable=True),
    Column("run_id", String(64), nullable=True),
    Column("operation", String(16), nullable=True),
    Column("kind", String(16), nullable=True),
    Column("entity_id", String(USER_LENGTH), nullable=True),
    Column("list_id", Id, nullable=True),
    Column("before", Text, nullable=True),
    Column("after", Text, nullable=True),
    # `seq` of the first entry that the same request wrote; null in entries of old versions. No hash
    # covers this number, because it only groups entries.
    Column("request_seq", BigInteger, nullable=True),
    # Null once the content has been erased; both hashes remain.
    Column("salt", LargeBinary, nullable=True),
    Column("commitment", LargeBinary, nullable=False),
    Column("hash", LargeBinary, nullable=False),
    Index(None, "owner", "list_id", "seq"),
    Index(None, "owner", "run_id", "seq"),
    Index(None, "owner", "entity_id", "seq"),
)

# For undoing the changes of a token; users' own changes have no API token.
_by_token = journal.c.token_id.is_not(None)
Index(
    "ix_journal_token",
    journal.c.owner,
    journal.c.token_id,
    journal.c.seq,
    postgresql_where=_by_token,
    sqlite_where=_by_token,
)

idempotency = Table(
    "idempotency",
    metadata,
    Column("user_id", String(USER_LENGTH), primary_key=True),
    Column("key", String(255), primary_key=True),
    # SHA-256 of the request (see `todo.api.idempotency`).
    Column("fingerprint", LargeBinary, nullable=False),
    Column("created_at", Time, nullable=False),
    Column("status", SmallInteger, nullable=True),
    Column("headers", Text, nullable=True),
    Column("body", LargeBinary, nullable=True),
    Index(None, "created_at"),
)

api_token = Table(
    "api_token",
    metadata,
    Column("id", Id, primary_key=True),
    Column("owner", String(USER_LENGTH), nullable=False),
    Column("name", String(100), nullable=False),
    # SHA-256 of the secret.
    Column("hash", LargeBinary, nullable=False),
    # Separated by spaces.
    Column("scopes", String(100), nullable=False),
    Column("list_id", Id, ForeignKey("list.id", ondelete="CASCADE"), nullable=True),
    Column("agent", String(64), nullable=True),
    Column("require_key", Boolean, nullable=False),
    Column("require_match", Boolean, nullable=False),
    Column("writes_per_hour", Integer, nullable=True),
    # Current hour, and the number of writes in it.
    Column("hour", Time, nullable=True),
    Column("writes", Integer, nullable=False),
    Column("created_at", Time, nullable=False),
    Column("expires_at", Time, nullable=True),
    Column("last_used_at", Time, nullable=True),
    Index(None, "owner", "id"),
    Index(None, "list_id"),
)

# JSON Web Tokens of a user issued up to this time are rejected. The cutoff outlives the account,
# which such a token could otherwise create again.
token_cutoff = Table(
    "token_cutoff",
    metadata,
    Column("user_id", String(USER_LENGTH), primary_key=True),
    Column("cutoff_at", Time, nullable=False),
    # For backends, which read only new cutoffs.
    Index("ix_token_cutoff_at", "cutoff_at", "user_id"),
)

# Described changes that can be applied later (`todo.plans`). Only `applied_at` is updated.
plan = Table(
    "plan",
    metadata,
    Column("id", Id, primary_key=True),
    Column("owner", String(USER_LENGTH), nullable=False),
    # List of the creating token, if restricted. Not a foreign key: a plan may delete the list.
    Column("list_id", Id, nullable=True),
    Column("token_id", Id, nullable=True),
    Column("agent", String(64), nullable=True),
    Column("model", String(64), nullable=True),
    Column("run_id", String(64), nullable=False),
    Column("reason", String(PLAN_REASON_LENGTH), nullable=True),
    # JSON: operations, displayed changes, their counts, and values compared at application.
    Column("operations", Text, nullable=False),
    Column("changes", Text, nullable=False),
    Column("summary", Text, nullable=False),
    Column("expected", Text, nullable=False),
    Column("created_at", Time, nullable=False),
    Column("expires_at", Time, nullable=False),
    Column("applied_at", Time, nullable=True),
    Index(None, "owner", "id"),
    Index(None, "expires_at"),
)

# Conversations of a user with the assistant (`todo.assistant`).
conversation = Table(
    "conversation",
    metadata,
    Column("id", Id, primary_key=True),
    Column("owner", String(USER_LENGTH), nullable=False),
    # List of the creating token, if restricted. Not a foreign key: a conversation outlives it.
    Column("list_id", Id, nullable=True),
    Column("title", String(CONVERSATION_TITLE_LENGTH), nullable=False),
    # Plan that waits for confirmation. Not a foreign key: plans expire.
    Column("plan_id", Id, nullable=True),
    # Bytes of its messages, which are limited per account.
    Column("size", BigInteger, nullable=False),
    Column("created_at", Time, nullable=False),
    Column("updated_at", Time, nullable=False),
    Index(None, "owner", "id"),
)

message = Table(
    "message",
    metadata,
    Column("id", Id, primary_key=True),
    Column(
        "conversation_id", Id, ForeignKey("conversation.id", ondelete="CASCADE"), nullable=False
    ),
    Column("role", String(9), nullable=False),
    Column("status", String(11), nullable=False),
    Column("content", Text, nullable=False),
    # JSON. From here to `output_tokens`: only in messages of the assistant.
    Column("tool_calls", Text, nullable=False),
    Column("run_id", String(64), nullable=True),
    Column("changed", Boolean, nullable=False),
    Column("plan_id", Id, nullable=True),
    Column("degraded_reason", String(32), nullable=True),
    Column("prompt_tokens", Integer, nullable=False),
    Column("output_tokens", Integer, nullable=False),
    Column("created_at", Time, nullable=False),
    CheckConstraint("role IN ('user', 'assistant')", name="role"),
    CheckConstraint("status IN ('running', 'done', 'interrupted')", name="status"),
    Index(None, "conversation_id", "id"),
)

schema_compatibility = Table(
    "schema_compatibility",
    metadata,
    # One row: the revision expected by the oldest program that works with this schema.
    Column("oldest_program", String(4), primary_key=True),
)
