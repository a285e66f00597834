"""The operations of a plan: those of a batch, and those about lists and their shares."""

from typing import Literal, NotRequired, TypedDict, final

from todo.core.domain import ShareAccess
from todo.tasks.batch import Action, Creation, Update


@final
class ListDeletion(TypedDict):
    """Delete a list with its tasks; it must have the version `if_match` if there is one."""

    op: Literal["delete_list"]
    id: str
    if_match: NotRequired[int | None]


@final
class ListSharing(TypedDict):
    """Share a list with a user, or change that user's access."""

    op: Literal["share_list"]
    id: str
    user: str
    access: ShareAccess


@final
class ListUnsharing(TypedDict):
    """Stop sharing a list with a user."""

    op: Literal["unshare_list"]
    id: str
    user: str


# Not a union of unions: mypy would not tell its members apart by their keys.
PlanOperation = Creation | Update | Action | ListDeletion | ListSharing | ListUnsharing
