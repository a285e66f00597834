import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from tests.unit.todo.assistant.rules.entries import make_entry
from todo.assistant.turn.guard import (
    DELETES,
    MANY,
    MAX_CHANGED,
    OF_OTHERS,
    ConfirmationNeededError,
    ForbiddenChangeError,
    Guard,
)
from todo.core.caller import Caller
from todo.writes.hash_chain import Entry

_SHARED = "shared-list"


class _Session:
    """Knows the lists that are shared."""

    async def fetch(self, _statement: object, _values: object) -> list[tuple[str]]:
        return [(_SHARED,)]


class _Work:
    """A write that is about to be committed."""

    def __init__(self, *recorded: tuple[str, Entry]) -> None:
        self.recorded = list(recorded)
        self.caller = Caller("ann")
        self.session = _Session()
        self.callbacks: list[Callable[[], None]] = []

    def after_commit(self, callback: Callable[[], None]) -> None:
        self.callbacks.append(callback)

    def commit(self) -> None:
        for callback in self.callbacks:
            callback()


def _entry(operation: str = "complete", entity: str = "t1", **more: Any) -> Entry:  # noqa: ANN401 - JSON
    kind = more.pop("kind", "task")
    before = None if operation == "create" else more
    return make_entry(operation, before, None if operation == "delete" else more, entity, kind)


def _check(guard: Guard, work: _Work) -> tuple[str, ...]:
    """Return why a write needs the person; nothing where it does not."""
    try:
        asyncio.run(guard.check(work))  # type: ignore[arg-type]
    except ConfirmationNeededError as needed:
        return needed.reasons
    work.commit()
    return ()


@pytest.mark.parametrize("by_model", [True, False])
def test_a_deletion_needs_the_person(by_model: bool) -> None:  # noqa: FBT001 - a parameter
    work = _Work(("ann", _entry("delete")))
    assert _check(Guard(by_model), work) == (DELETES,)


@pytest.mark.parametrize("by_model", [True, False])
def test_more_things_than_a_few_need_the_person(by_model: bool) -> None:  # noqa: FBT001 - a parameter
    entries = [("ann", _entry(entity=f"t{n}")) for n in range(MAX_CHANGED + 1)]
    assert _check(Guard(by_model), _Work(*entries)) == (MANY,)
    assert _check(Guard(by_model), _Work(*entries[1:])) == ()


def test_the_writes_of_a_turn_count_together() -> None:
    guard = Guard(by_model=True)
    for number in range(MAX_CHANGED):
        assert _check(guard, _Work(("ann", _entry(entity=f"t{number}")))) == ()
    assert _check(guard, _Work(("ann", _entry(entity="t1")))) == ()
    assert _check(guard, _Work(("ann", _entry(entity="another")))) == (MANY,)


def test_a_write_that_is_repeated_after_a_conflict_counts_once() -> None:
    guard = Guard(by_model=True)
    for attempt in range(2 * MAX_CHANGED):
        asyncio.run(guard.check(_Work(("ann", _entry(entity=f"t{attempt}")))))  # type: ignore[arg-type]
    assert guard.changed == set()


def test_the_next_task_of_a_series_does_not_count() -> None:
    entries = []
    for number in range(MAX_CHANGED):
        entries.append(("ann", _entry(entity=f"t{number}")))
        entries.append(("ann", _entry("create", f"next{number}", previous_id=f"t{number}")))
    assert _check(Guard(by_model=True), _Work(*entries)) == ()


@pytest.mark.parametrize(
    "change",
    [
        ("ben", _entry()),
        ("ann", _entry(list_id=_SHARED)),
        ("ann", _entry("create", list_id=_SHARED)),
    ],
)
def test_only_the_words_of_the_person_change_what_others_see(change: tuple[str, Entry]) -> None:
    assert _check(Guard(by_model=True), _Work(change)) == (OF_OTHERS,)
    assert _check(Guard(by_model=False), _Work(change)) == ()


def test_a_list_of_ones_own_needs_nobody() -> None:
    assert _check(Guard(by_model=True), _Work(("ann", _entry(list_id="own")))) == ()


@pytest.mark.parametrize("by_model", [True, False])
@pytest.mark.parametrize("kind", ["list", "share", "token", "account"])
def test_nothing_but_tasks_is_ever_changed(kind: str, by_model: bool) -> None:  # noqa: FBT001 - a parameter
    with pytest.raises(ForbiddenChangeError):
        _check(Guard(by_model), _Work(("ann", _entry("create", kind=kind))))


def test_updates_of_a_task_are_kept_from_the_first_to_the_last_that_was_committed() -> None:
    guard = Guard(by_model=True)
    for old, new in (("a", "b"), ("b", "c")):
        entry = make_entry("update", {"title": old}, {"title": new})
        assert _check(guard, _Work(("ann", entry))) == ()
    refused = make_entry("update", {"title": "c"}, {"title": "d", "list_id": _SHARED})
    assert _check(guard, _Work(("ann", refused))) == (OF_OTHERS,)
    before, after = guard.updates["t"]
    assert (before["title"], after["title"]) == ("a", "c")
