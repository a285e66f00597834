"""Lists by name: a model knows lists by their names, the services by their ids."""

import difflib
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from todo.core.caller import Caller
from todo.db.session import Session
from todo.lists.repository import ListRepository
from todo.mcp.quoting import quote
from todo.quickadd.marks import fold_list_name
from todo.tasks.document import parse_document

_MAX_LISTS = 1000
_SHOWN = 5
_MAX_SUGGESTED = 3
_MAX_COMPARED = 100
_COMPARED_LENGTH = 32
NAME_LENGTH = 100


@dataclass(frozen=True, slots=True)
class Place:
    """A list that the caller sees.

    Attributes:
        id: Its id.
        name: Its name.
        access: What the caller may do with its tasks: owner, write or read.
    """

    id: str
    name: str
    access: str


class PlaceError(Exception):
    """A text that does not name one list."""

    def __init__(self, message: str, choices: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.choices = choices


class Places:
    """The lists that a caller sees."""

    def __init__(self, places: Iterable[Place]) -> None:
        self._by_id: dict[str, Place] = {}
        self._by_name: dict[str, list[Place]] = defaultdict(list)
        self._suggested = 0
        for place in places:
            self.add(place)

    def add(self, place: Place) -> None:
        """Add a list that was created since."""
        self._by_id[place.id] = place
        self._by_name[fold_list_name(place.name)].append(place)

    @property
    def all(self) -> list[Place]:
        """All of them, oldest first."""
        return list(self._by_id.values())

    @property
    def names(self) -> dict[str, tuple[str, ...]]:
        """The ids that each name can mean in quick add: of lists that can be written to."""
        names: dict[str, tuple[str, ...]] = {}
        for places in self._by_name.values():
            found = _prefer_own([place for place in places if place.access != "read"])
            if found:
                names[found[0].name] = tuple(place.id for place in found)
        return names

    def find_name(self, list_id: str) -> str | None:
        """Return the name of a list, None where the caller does not see it."""
        place = self._by_id.get(list_id)
        return None if place is None else place.name

    def has(self, given: str) -> bool:
        """Whether a text is an id, or the name of a list."""
        return _is_id(given) or fold_list_name(given) in self._by_name

    def get_id(self, given: str) -> str:
        """Return the id of the list that a text names, by id or by name.

        Raises:
            PlaceError: There is no such list, or more than one.
        """
        if _is_id(given):
            # The services answer for lists that the caller does not see.
            return str(UUID(given))
        found = _prefer_own(self._by_name.get(fold_list_name(given), []))
        if len(found) == 1:
            return found[0].id
        if found:
            ids = tuple(place.id for place in found[:_SHOWN])
            raise PlaceError("is the name of several lists; use an id", ids)
        raise PlaceError(
            f"{quote(given, NAME_LENGTH)} is not a list; see lists_and_tags", self._suggest(given)
        )

    def _suggest(self, given: str) -> tuple[str, ...]:
        """Return names of lists that a wrong one may mean; only for the first few of a call."""
        self._suggested += 1
        if self._suggested > _MAX_SUGGESTED:
            return ()
        wanted = fold_list_name(given)
        names = {folded: places[0].name for folded, places in self._by_name.items() if places}
        near = [folded for folded in names if wanted in folded or folded in wanted]
        if not near:
            # Comparing letters costs the square of their number for each name, on the event loop.
            some = {folded[:_COMPARED_LENGTH]: folded for folded in list(names)[:_MAX_COMPARED]}
            close = difflib.get_close_matches(wanted[:_COMPARED_LENGTH], some, n=_SHOWN, cutoff=0.5)
            near = [some[each] for each in close]
        return tuple(names[each] for each in near[:_SHOWN])


async def fetch_places(session: Session, caller: Caller) -> Places:
    """Return the lists that a caller sees, the oldest thousand of them."""
    found = await ListRepository(session, caller).find_page(None, _MAX_LISTS)
    return Places(
        Place(list_id, parse_document(text)["name"], access) for text, access, list_id in found
    )


def _prefer_own(places: list[Place]) -> list[Place]:
    """Return the caller's own lists of a name: another user's does not make it ambiguous."""
    return [place for place in places if place.access == "owner"] or places


def _is_id(given: str) -> bool:
    try:
        UUID(given)
    except ValueError:
        return False
    return True
