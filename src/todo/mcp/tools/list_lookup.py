"""Lookup of lists by name, because models know names, whereas services need IDs."""

import difflib
from uuid import UUID

from todo.db.tables import LIST_NAME_LENGTH
from todo.mcp.quoting import quote
from todo.quickadd.marks import fold_list_name
from todo.tasks.visible_lists import MAX_LISTS, VisibleList, VisibleLists

_SHOWN = 5
_MAX_SUGGESTED = 3
_MAX_COMPARED = 100
_COMPARED_LENGTH = 32


class ListNameError(Exception):
    """Error for a list name that is unknown or ambiguous."""

    def __init__(self, message: str, choices: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.choices = choices


class ListLookup:
    """Lookup of the lists that the arguments of a call name."""

    def __init__(self, lists: VisibleLists) -> None:
        self.lists = lists
        self._suggested = 0

    def add(self, new: VisibleList) -> None:
        """Add a list that the call creates."""
        self.lists = self.lists.add(new)

    def has(self, given: str) -> bool:
        """Return whether a text is a UUID or the name of a list."""
        return _is_id(given) or fold_list_name(given) in self.lists.by_name

    def get_id(self, given: str) -> str:
        """Return the ID of a list from its ID or name, or raise a ListNameError."""
        if _is_id(given):
            # The services reject lists that the caller cannot see.
            return str(UUID(given))
        found = self.lists.by_name.get(fold_list_name(given), [])
        if len(found) == 1:
            return found[0].id
        if found:
            ids = tuple(each.id for each in found[:_SHOWN])
            raise ListNameError("is the name of several lists; use an id", ids)
        name = quote(given, LIST_NAME_LENGTH)
        if not self.lists.is_complete:
            message = f"{name} is not among the oldest {MAX_LISTS} lists; use an id"
            raise ListNameError(message, self._suggest(given))
        raise ListNameError(f"{name} is not a list; see lists_and_tags", self._suggest(given))

    def _suggest(self, given: str) -> tuple[str, ...]:
        """Return similar list names, but only for the first few unknown names of a call."""
        self._suggested += 1
        if self._suggested > _MAX_SUGGESTED:
            return ()
        wanted = fold_list_name(given)
        names = {folded: lists[0].name for folded, lists in self.lists.by_name.items()}
        near = [folded for folded in names if wanted in folded or folded in wanted]
        if not near:
            # Each comparison takes time quadratic in the length of the names, on the event loop.
            some = {folded[:_COMPARED_LENGTH]: folded for folded in list(names)[:_MAX_COMPARED]}
            close = difflib.get_close_matches(wanted[:_COMPARED_LENGTH], some, n=_SHOWN, cutoff=0.5)
            near = [some[each] for each in close]
        return tuple(names[each] for each in near[:_SHOWN])


def _is_id(given: str) -> bool:
    try:
        UUID(given)
    except ValueError:
        return False
    return True
