"""A task for tests that care about some of its fields only."""

from todo.core.domain import Task
from todo.tasks.validation import make_task

TASK_ID = "019ab000-0000-7000-8000-000000000001"
TASK: Task = make_task(
    {"id": TASK_ID, "title": "t", "position": 1.0}, "alice", "2026-11-25T10:00:00.000000+00:00"
)
