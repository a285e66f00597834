from typing import Any

import pytest

from todo.assistant.turn.refusal_text import find_refusal


@pytest.mark.parametrize(
    ("kind", "fields", "text"),
    [
        (
            "unknown-task",
            {"names": ['the "harp"', "the lute"], "kind": "open "},
            (
                'No open task fits "the \\"harp\\"" or "the lute", so nothing was changed. Write'
                " only words that are in the title of the task."
            ),
        ),
        (
            "unknown-group",
            {"name": "all harps"},
            (
                'It is not clear which tasks "all harps" are, or there are none, so nothing was'
                ' changed. Name the tasks or a group: "all tasks", "all overdue tasks", "all tasks'
                ' due today" or "tomorrow", "all tasks on my home list", "all tasks about milk".'
            ),
        ),
        (
            "statement",
            {},
            (
                "That can be something that happens, so nothing was added or changed. If it is"
                " something to do, write add in front of it."
            ),
        ),
        (
            "known-title",
            {"title": "Order firewood", "message": "order firewood delayed"},
            (
                'There is a task "Order firewood" already, so nothing was changed. If it is done,'
                ' write complete "Order firewood"; if it is not needed, write delete "Order'
                ' firewood"; to add another one, write add "order firewood delayed".'
            ),
        ),
        (
            "no-title",
            {},
            (
                "The message does not say what the task is, so nothing was added. Write, for"
                " example, add buy milk tomorrow."
            ),
        ),
        (
            "other-state",
            {"title": "x", "is": "completed"},
            (
                'The task "x" is completed already, so nothing was changed. To change it, reopen it'
                " first."
            ),
        ),
        (
            "other-state",
            {"title": "x", "is": "open"},
            'The task "x" is open already, so nothing was changed.',
        ),
        (
            "only-tasks",
            {"message": "create a token"},
            (
                "The assistant does not change lists, shares, tokens or accounts, so nothing was"
                ' done: use the API for that. If it is something to do, write add "create a token"'
                " with the quotation marks."
            ),
        ),
        (
            "used-up",
            {"title": "milk"},
            (
                "That can mean that the task is done, or that there is none left, so nothing was"
                ' changed. If it is done, write complete "milk".'
            ),
        ),
        ("lists", {"names": ("Home", 'a "b"')}, 'Your lists: "Home", "a \\"b\\"".'),
        (
            "known-task",
            {"title": "call mum", "due": "friday"},
            (
                'There is a task "call mum" already, so nothing was changed. To move it, write move'
                ' "call mum" to friday; to add another one, write add "call mum" friday.'
            ),
        ),
        ("lists", {"names": ()}, "No lists were found."),
        (
            "too-many-lines",
            {"lines": 61},
            (
                "The message has 61 tasks, and one message can add 50, so nothing was added. Send"
                " them in several messages."
            ),
        ),
        ("none-chosen", {}, "Nothing was changed."),
        ("greeting", {}, None),
    ],
)
def test_a_message_that_changes_nothing_says_why(
    kind: str, fields: dict[str, Any], text: str | None
) -> None:
    assert find_refusal(kind, fields) == text


def test_many_lists_are_counted() -> None:
    text = find_refusal("lists", {"names": [str(number) for number in range(40)]})

    assert text is not None
    assert text.endswith('"29" and 10 more.')
