"""Tasks as messages name them."""

from uuid import UUID

from todo.assistant.rules.decision import TaskName


def name_task(number: int, title: str = "x", due: str | None = None) -> TaskName:
    """Return a task."""
    return TaskName(
        str(UUID(int=number)), title, 1, None, is_completed=False, due=due, is_shared=False
    )
