import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.todo.tasks.examples import TASK
from todo.core.caller import Caller
from todo.core.domain import PRIORITIES, Priority, TaskChanges
from todo.db.tables import NO_DUE
from todo.tasks.document import COLUMNS, read_rank, to_row
from todo.tasks.repository import TaskRepository


def test_a_row_has_each_column_and_nothing_else() -> None:
    assert set(to_row(TASK)) == set(COLUMNS)


@pytest.mark.parametrize(
    ("changes", "has_words"),
    [
        ({"is_completed": True, "tags": ["a"], "list_id": None}, False),
        ({"title": "other"}, True),
        ({"description": "other"}, True),
    ],
)
def test_words_are_made_only_for_changed_texts(changes: TaskChanges, has_words: bool) -> None:  # noqa: FBT001 - a parameter
    session: Any = None
    calls = TaskRepository(session, Caller("alice")).change(TASK, {**TASK, **changes})

    assert ("words" in calls[0][1]) is has_words


@given(
    tags=st.lists(st.text()),
    reminders=st.lists(st.integers(-1440, 527040)),
    priority=st.sampled_from(PRIORITIES),
)
def test_lists_are_kept_as_json_and_priorities_by_rank(
    tags: list[str], reminders: list[int], priority: Priority
) -> None:
    try:
        "".join(tags).encode()
    except UnicodeEncodeError:
        return  # a lone surrogate is refused before
    row = to_row(TASK | {"tags": tags, "reminders": reminders, "priority": priority})

    assert json.loads(row["tags"]) == tags
    assert json.loads(row["reminders"]) == reminders
    assert PRIORITIES[row["priority"]] == priority


@pytest.mark.parametrize(
    ("due", "key"),
    [
        ({}, NO_DUE),
        ({"due_date": "2026-11-25"}, "2026-11-25T00:00:00.000000+00:00"),
        ({"due_at": "2026-11-25T10:00:00.25+00:00"}, "2026-11-25T10:00:00.250000+00:00"),
        ({"due_at": "2026-11-25T10:00:00+01:00"}, "2026-11-25T09:00:00.000000+00:00"),
    ],
)
def test_a_due_is_sorted_by_a_text_of_one_form(due: TaskChanges, key: str) -> None:
    assert to_row({**TASK, **due})["due_key"] == key


def test_what_is_due_sorts_before_what_never_is() -> None:
    latest = to_row(TASK | {"due_date": "9998-12-31"})["due_key"]

    assert latest < to_row(TASK)["due_key"]


def test_ranks_are_in_the_order_of_the_names() -> None:
    assert [read_rank(word) for word in ("none", "low", "medium", "high")] == [0, 1, 2, 3]
