"""The start of a stored rule: the due at the time when the rule was set, read from the journal.

Moving the due later moves one instance. The days that the service wrote into the rule are those of
the due before that.
"""

from sqlalchemy import bindparam, literal_column, select

from todo.core.domain import Task
from todo.db.documents import parse_task
from todo.db.session import Session
from todo.db.statement import Statement
from todo.db.tables import journal

# Newest first; a task with more changes than that keeps the days of its rule.
_MAX_ENTRIES = 100
_STATES = Statement(
    select(journal.c.after)
    .where(
        journal.c.owner == bindparam("owner"),
        journal.c.entity_id == bindparam("id"),
        journal.c.kind == literal_column("'task'"),
    )
    .order_by(journal.c.seq.desc())
    .limit(literal_column(str(_MAX_ENTRIES)))
)


async def find_rule_start(session: Session, task: Task) -> Task:
    """Return the earliest state of a task that had the rule that it has now.

    Args:
        session: Reads.
        task: The task.
    """
    start = task
    rows = await session.fetch(_STATES, {"owner": task["owner"], "id": task["id"]})
    for (after,) in rows:
        state = None if after is None else parse_task(after)
        if state is None or state["recurrence"] != task["recurrence"]:
            break
        start = state
    return start
