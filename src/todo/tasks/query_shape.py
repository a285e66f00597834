"""Shape of a task query: its conditions without their values. Each shape has one statement."""

from dataclasses import dataclass
from typing import Literal

from todo.db.documents import TASK_FIELDS

Sort = Literal["created", "updated", "due", "priority", "title", "position", "relevance"]

_KEYS = {
    "created": "id",
    "updated": "updated_at",
    "due": "due_key",
    "priority": "priority",
    "title": "title",
    "position": "position",
    "relevance": "id",
}


@dataclass(frozen=True, slots=True)
class QueryShape:
    """Conditions of a query without their values; names of SQL parameters are in parentheses.

    Attributes:
        after: Whether the page continues after a cursor (`after_key`, `after_id`).
        in_list: `one` list (`list_id`), `none`, or `any`.
        parent: Whether only direct subtasks of one task match (`parent_id`).
        tags: Number of tags (`tag_0` ...) that a task must have.
        priority: Whether the priority must match (`priority`).
        due: `window` (`date_from`, `date_to`, `at_from`, `at_to`, `key_from`, `key_to`), `none`
            for tasks without a due date or time, or `any`.
        updated: Whether the time of the last change must match (`updated_since`).
        search: Whether the search words must match (`terms`, `pieces`).
    """

    sort: Sort = "created"
    descending: bool = True
    after: bool = False
    status: Literal["open", "completed"] | None = None
    in_list: Literal["one", "none", "any"] = "any"
    parent: bool = False
    tags: int = 0
    priority: bool = False
    due: Literal["window", "none", "any"] = "any"
    updated: bool = False
    search: bool = False
    fields: tuple[str, ...] = TASK_FIELDS

    @property
    def key(self) -> str:
        """Column by which pages are sorted; rows with equal values are sorted by ID."""
        return _KEYS[self.sort]
