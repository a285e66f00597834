"""Tables, and the schema revision that this program works with.

A value reaches a driver as JSON would write it: ids, dates and times as text, whatever the
database stores. The column types below say how each database keeps it.
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

# In order, oldest first. A unit test compares them with Alembic's scripts, so that serving
# never imports Alembic.
REVISIONS = (
    *("0001", "0002", "0003", "0004", "0005", "0006", "0007", "0008", "0009", "0010"),
    *("0011", "0012", "0013"),
)
EXPECTED_REVISION = REVISIONS[-1]
CONTRACTS: tuple[str, ...] = ()
"""The revisions after that, which only the contract step makes (ADR 85).

They remove what this program no longer uses. It works before and after them.
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
"""Size that a conversation or message counts in addition to its text, which bounds their number."""

NO_DUE = "9999-12-31T00:00:00.000000+00:00"
"""The sort key of a task that is due at no time: after all others.

As text, a time compares with others only if it has as many digits.
"""

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    }
)

# SQLite has none of these types; text of one fixed form compares as the value does.
Id = Uuid(as_uuid=False).with_variant(String(36), "sqlite")
Time = DateTime(timezone=True).with_variant(String(32), "sqlite")
Day = Date().with_variant(String(10), "sqlite")

account = Table(
    "account",
    metadata,
    Column("owner", String(USER_LENGTH), primary_key=True),
    Column("zone", String(64), nullable=False),
    # The journal's chain of this owner: its name in the hashes, and its head.
    Column("chain_id", Id, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("hash", LargeBinary, nullable=False),
    Column("created_at", Time, nullable=False),
    # What the account holds (`todo.writes.storage_quota`); null until it is counted.
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
    # Deferrable for an import, whose tasks come in any order.
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
    # What a task sorts by when sorted by its due time (`todo.schedule.due.due_key`), or NO_DUE.
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
    # What a search compares with (`todo.text.search_words.render_searched`).
    Column("words", Text, nullable=False),
    CheckConstraint("length(title) BETWEEN 1 AND 255", name="title_length"),
    CheckConstraint("length(description) <= 10000", name="description_length"),
    CheckConstraint("priority BETWEEN 0 AND 3", name="priority"),
    CheckConstraint("due_date IS NULL OR due_at IS NULL", name="one_due"),
    # Each order of a page, and each column that a page is chosen by.
    Index(None, "owner", "id"),
    Index(None, "owner", "updated_at", "id"),
    Index(None, "owner", "due_key", "id"),
    Index(None, "owner", "priority", "id"),
    Index(None, "owner", "title", "id"),
    Index(None, "owner", "list_id", "id"),
    Index(None, "owner", "list_id", "position", "id"),
    # For the foreign keys as well.
    Index(None, "list_id"),
    Index(None, "parent_id", "id"),
)

# Most tasks of a long-lived account are done: finding the open ones must not read the others.
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

# Few tasks follow another of a series.
_follows = task.c.previous_id.is_not(None)
Index("ix_task_previous", task.c.previous_id, postgresql_where=_follows, sqlite_where=_follows)

# Derived from task.tags: the tasks of a tag, newest first, and the tags that there are.
task_tag = Table(
    "task_tag",
    metadata,
    Column("owner", String(USER_LENGTH), primary_key=True),
    Column("tag", String(TAG_LENGTH), primary_key=True),
    Column("task_id", Id, ForeignKey("task.id", ondelete="CASCADE"), primary_key=True),
    Index(None, "task_id"),
)

# Derived from task.reminders and the due time: what is still to be delivered.
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
    # Number of the first entry that the same request wrote here; null in entries of old versions.
    # It groups entries and says nothing about them, so no hash covers it.
    Column("request_seq", BigInteger, nullable=True),
    # Null once the content has been erased; the two hashes stay.
    Column("salt", LargeBinary, nullable=True),
    Column("commitment", LargeBinary, nullable=False),
    Column("hash", LargeBinary, nullable=False),
    Index(None, "owner", "list_id", "seq"),
    Index(None, "owner", "run_id", "seq"),
    Index(None, "owner", "entity_id", "seq"),
)

# For undoing what a token changed. People's own changes come without an API token.
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
    # SHA-256 of method, path and body.
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
    # SHA-256 of the secret part.
    Column("hash", LargeBinary, nullable=False),
    # Words separated by spaces.
    Column("scopes", String(100), nullable=False),
    Column("list_id", Id, ForeignKey("list.id", ondelete="CASCADE"), nullable=True),
    Column("agent", String(64), nullable=True),
    Column("require_key", Boolean, nullable=False),
    Column("require_match", Boolean, nullable=False),
    Column("writes_per_hour", Integer, nullable=True),
    # The hour that is being counted, and the writes in it.
    Column("hour", Time, nullable=True),
    Column("writes", Integer, nullable=False),
    Column("created_at", Time, nullable=False),
    Column("expires_at", Time, nullable=True),
    Column("last_used_at", Time, nullable=True),
    Index(None, "owner", "id"),
    Index(None, "list_id"),
)

# Ends the JSON Web Tokens of a user that were issued up to a time. It outlives the account: a
# deleted one could be opened again with such a token.
token_cutoff = Table(
    "token_cutoff",
    metadata,
    Column("user_id", String(USER_LENGTH), primary_key=True),
    Column("cutoff_at", Time, nullable=False),
    # A backend reads the new ones.
    Index("ix_token_cutoff_at", "cutoff_at", "user_id"),
)

# Plans: described changes that can be applied later (`todo.plans`). Only `applied_at` changes.
plan = Table(
    "plan",
    metadata,
    Column("id", Id, primary_key=True),
    Column("owner", String(USER_LENGTH), nullable=False),
    # The one list of the token that made it. Not a foreign key: a plan may delete that list.
    Column("list_id", Id, nullable=True),
    Column("token_id", Id, nullable=True),
    Column("agent", String(64), nullable=True),
    Column("model", String(64), nullable=True),
    Column("run_id", String(64), nullable=False),
    Column("reason", String(PLAN_REASON_LENGTH), nullable=True),
    # JSON: what is to be done, the changes as they are shown, their counts, and what they are
    # compared by when the plan is applied.
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

# What a person and the assistant say to each other (`todo.assistant`).
conversation = Table(
    "conversation",
    metadata,
    Column("id", Id, primary_key=True),
    Column("owner", String(USER_LENGTH), nullable=False),
    # The one list of the token that began it. Not a foreign key: the conversation outlives it.
    Column("list_id", Id, nullable=True),
    Column("title", String(CONVERSATION_TITLE_LENGTH), nullable=False),
    # The plan that waits for a yes. Not a foreign key: plans expire.
    Column("plan_id", Id, nullable=True),
    # Bytes of its messages, of which an account may have only so many.
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
    # JSON. Of an answer, like what follows.
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
    # One row: the revision that the oldest program expects that still works with this schema.
    Column("oldest_program", String(4), primary_key=True),
)
