"""The answer to "which one do you mean?"."""

from dataclasses import replace

import pytest

from tests.unit.todo.assistant.rules.names import name_task
from todo.assistant.rules.choice import choose

TITLES = ("Ring Tom", "Ring Tom's office about the lease", "Write to Tom", "Ring Ada")
TASKS = [name_task(number, title) for number, title in enumerate(TITLES)]
TASKS[2] = replace(TASKS[2], list_name="Club")


@pytest.mark.parametrize(
    ("answer", "numbers"),
    [
        *(("2", [1]), ("2.", [1]), ("#2", [1]), ("number 2", [1]), ("(2)", [1]), ("two", [1])),
        *(("the second one", [1]), ("second", [1]), ("the 2nd", [1]), ("the last", [3])),
        *(("the first, please", [0]), ("first!", [0]), ("the last one", [3]), ("one", [0])),
        *(("1 and 3", [0, 2]), ("1, 2, 4", [0, 1, 3]), ("the first and the last", [0, 3])),
        *(("both", [0, 1, 2, 3]), ("all of them", [0, 1, 2, 3]), ("all", [0, 1, 2, 3])),
        *(("the lease", [1]), ("Ring Tom", [0]), ("the office one", [1]), ("I meant Ada", [3])),
        *(("the one about the lease", [1]), ("writing to tom", [2]), ("it's ada", [3])),
        *(("the one on my club list", [2]), ("the club one", [2])),
    ],
)
def test_a_number_an_ordinal_or_words_choose(answer: str, numbers: list[int]) -> None:
    assert choose(answer, TASKS).found == tuple(TASKS[number] for number in numbers)


def test_of_more_tasks_than_were_shown_only_these_have_a_number() -> None:
    tasks = [name_task(number, f"Visit hut {name}") for number, name in enumerate("abcdefghijklmn")]
    assert choose("10", tasks).found == (tasks[9],)
    for answer in ("11", "14", "the last one"):
        assert not choose(answer, tasks)
    assert choose("all of them", tasks).found == tuple(tasks)
    assert choose("hut n", tasks).found == (tasks[13],)


def test_all_of_too_many_tasks_is_no_choice() -> None:
    tasks = [name_task(number, f"Visit hut {number}") for number in range(51)]
    assert not choose("all", tasks)


def test_words_of_several_titles_leave_these() -> None:
    match = choose("one with Tom", TASKS)

    assert match.found == ()
    assert match.candidates == (TASKS[0], TASKS[1], TASKS[2])


@pytest.mark.parametrize(
    "answer",
    [
        *("0", "5", "the fifth one", "11th", "2 and 9", "1?", "not the first one", "2 eggs"),
        *("not Ada", "Ada or Tom's office", "delete Ada", "Ada at 5", "", "one more", "first aid"),
        *("the one in the shed", "Ada's birthday", "x" * 400, "1 " * 200),
    ],
)
def test_anything_else_chooses_nothing(answer: str) -> None:
    assert not choose(answer, TASKS)
