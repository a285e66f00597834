"""Start of a recurrence rule: the task as it was when its rule was set, read from the journal.

Moving the due date later moves only one instance. The days that the service wrote into the rule
come from the due date at the time when the rule was set.
"""

from sqlalchemy import bindparam, literal_column, select

from todo.core.domain import Task
from todo.db.documents import parse_task
from todo.db.session import Session
from todo.db.statement import Statement
from todo.db.tables import journal

# Maximum number of changes to read; a rule that was set earlier may keep the days of its start.
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
    """Return the state of a task at the time when its current rule was set."""
    start = task
    rows = await session.fetch(_STATES, {"owner": task["owner"], "id": task["id"]})
    for (after,) in rows:
        state = None if after is None else parse_task(after)
        if state is None or state["recurrence"] != task["recurrence"]:
            break
        start = state
    return start
