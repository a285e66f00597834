"""Types of the operations in a plan: those of a batch, and those on lists and shares."""

from typing import Literal, NotRequired, TypedDict, final

from todo.core.domain import ShareAccess
from todo.tasks.batch import Action, Creation, Update


@final
class ListDeletion(TypedDict):
    """Deletion of a list with its tasks, optionally only in version `if_match`."""

    op: Literal["delete_list"]
    id: str
    if_match: NotRequired[int | None]


@final
class ListSharing(TypedDict):
    """Sharing of a list with a user, or a change of that user's access."""

    op: Literal["share_list"]
    id: str
    user: str
    access: ShareAccess


@final
class ListUnsharing(TypedDict):
    """Removal of a user's share of a list."""

    op: Literal["unshare_list"]
    id: str
    user: str


# A flat union, because mypy cannot distinguish the members of nested unions by their keys.
PlanOperation = Creation | Update | Action | ListDeletion | ListSharing | ListUnsharing
