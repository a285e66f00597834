"""Messages about many tasks, and about lists: what they find and what they move."""

from dataclasses import replace
from typing import Any

import pytest

from tests.unit.todo.assistant.rules.names import name_task
from tests.unit.todo.assistant.rules.utterance_book import make_context
from todo.assistant.rules.decision import Decision
from todo.assistant.rules.engine import decide

CONTEXT = make_context()
OWN = tuple(task for task in CONTEXT.tasks if not task.is_completed)
COMPLETED = tuple(task for task in CONTEXT.tasks if task.is_completed)
TASKS = {task.id: task for task in CONTEXT.tasks}


@pytest.mark.parametrize(
    ("message", "fields"),
    [
        ("tasks without a due date", {"due": "none"}),
        ("overdue tasks", {"due": "overdue"}),
        ("my urgent tasks", {"priority": "high"}),
        ("tasks tagged garden", {"tags": ["garden"]}),
        ("work tasks", {"list": "Work"}),
        ("open tasks for tomorrow", {"due": "tomorrow"}),
        ("completed tasks", {"status": "completed"}),
    ],
)
def test_tasks_with_filters_are_found_without_a_verb(message: str, fields: dict[str, Any]) -> None:
    assert decide(message, CONTEXT) == Decision("find", fields=fields)


@pytest.mark.parametrize(
    "message",
    ["delete tasks", "boring tasks", "tasks for the trip to Rome", "urgent tasks are boring"],
)
def test_other_words_beside_tasks_find_nothing(message: str) -> None:
    assert decide(message, CONTEXT) is None


@pytest.mark.parametrize(
    "message",
    ["which lists do I have", "what lists are there?", "show my lists", "how many lists exist?"],
)
def test_a_question_about_lists_names_them(message: str) -> None:
    context = replace(CONTEXT, read_only_lists=("Club",))

    assert decide(message, context) == Decision(
        "help", "lists", fields={"names": (*CONTEXT.list_names, "Club")}
    )


@pytest.mark.parametrize("message", ["which lists have overdue tasks", "show lists with bread"])
def test_a_question_about_some_lists_does_not_name_all(message: str) -> None:
    assert decide(message, CONTEXT) is None


@pytest.mark.parametrize(
    ("message", "due"),
    [
        ("move all my tasks to friday", "friday"),
        ("push everything to next week", "next week"),
        ("postpone all tasks by a day", "a day later"),
        ("reschedule every task to 2026-12-24", "2026-12-24"),
    ],
)
def test_all_own_tasks_move_together(message: str, due: str) -> None:
    shared = replace(name_task(1, "ours"), is_shared=True)
    context = replace(CONTEXT, tasks=[*CONTEXT.tasks, shared])

    assert decide(message, context) == Decision("reschedule", due, OWN)


@pytest.mark.parametrize(
    "message",
    [
        "do everything on friday",
        "everything is due on friday",
        "move all tasks except the slides to friday",
        "don't move all my tasks to friday",
        "should I move all my tasks to friday?",
    ],
)
def test_a_plan_or_an_exception_does_not_move_all_tasks(message: str) -> None:
    decision = decide(message, CONTEXT)

    assert decision is None or decision.intent == "find"


@pytest.mark.parametrize(
    ("message", "name", "due"),
    [
        ("passport -> friday", "passport", "friday"),
        ("the slides => on sunday", "slides", "sunday"),
        ("call mum \u2192 tomorrow 5pm", "mum", "tomorrow 5pm"),
    ],
)
def test_an_arrow_moves_a_task(message: str, name: str, due: str) -> None:
    assert decide(message, CONTEXT) == Decision("reschedule", due, (TASKS[name],))


@pytest.mark.parametrize("message", ["harp -> friday", "passport -> travel", "-> friday"])
def test_an_arrow_without_a_task_or_a_due_moves_nothing(message: str) -> None:
    decision = decide(message, CONTEXT)

    assert decision is None or decision.intent != "reschedule"


@pytest.mark.parametrize(
    "message",
    [
        "delete all completed tasks",
        "clear completed",
        "Please remove everything that's done.",
        "get rid of all the tasks I've finished",
        "clean up my finished items",
        "delete all done tasks from my list",
    ],
)
def test_all_completed_tasks_are_deleted_together(message: str) -> None:
    assert COMPLETED
    assert decide(message, CONTEXT) == Decision("delete", tasks=COMPLETED)


@pytest.mark.parametrize(
    "message",
    [
        "delete all tasks that are not done",
        "delete all tasks that aren't completed",
        "are all completed tasks deleted?",
        "don't delete the completed tasks",
        "clean up the finished basement",
        "delete all completed tasks but the gym",
    ],
)
def test_another_phrase_about_completed_tasks_deletes_nothing(message: str) -> None:
    decision = decide(message, CONTEXT)
    assert decision is None or decision.intent != "delete"


def test_a_task_that_others_see_is_not_among_all_completed_ones() -> None:
    shared = [replace(task, is_shared=task == COMPLETED[0]) for task in CONTEXT.tasks]

    decision = decide("delete all completed tasks", replace(CONTEXT, tasks=shared))

    assert decision is None or COMPLETED[0].id not in {task.id for task in decision.tasks}
