"""The shape of a task query: its conditions without their values. Each shape has one statement."""

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
    """The conditions of a query without their values; the parameters are named after the fields.

    Attributes:
        sort: The order.
        descending: Whether the largest comes first.
        after: Whether it continues after a cursor (`after_key`, `after_id`).
        status: `open` or `completed`, None for both.
        in_list: `one` list (`list_id`), `none`, or `any`.
        parent: Whether it is about the tasks right below one (`parent_id`).
        tags: How many tags (`tag_0` ...) a task must have.
        priority: Whether it must have one priority.
        due: `window` (`date_from`, `date_to`, `at_from`, `at_to`, `key_from`, `key_to`), `none`
            for tasks without, or `any`.
        updated: Whether it must have changed since (`updated_since`).
        search: Whether its words must match (`terms`, `pieces`).
        fields: Keys of the documents.
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
        """The column that a page is sorted by, before the id."""
        return _KEYS[self.sort]
