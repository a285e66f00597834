"""Reading of a program's lines in the journal."""

import json

import pytest

from deploy.stack.journal import message_of

TRACE = "Traceback (most recent call last):\n  File \"x.py\", line 1, in f\nKeyError: 'title'\n"


@pytest.mark.parametrize(
    ("line", "text"),
    [
        (" plain text ", "plain text"),
        (json.dumps({"message": "started"}), "started"),
        (json.dumps({"message": "error", "exc_info": None}), "error"),
        (json.dumps({"message": "error", "exc_info": TRACE}), "error: KeyError: 'title'"),
        (json.dumps(["message"]), '["message"]'),
    ],
)
def test_a_line_has_its_text_and_the_exception_that_it_is_about(line: str, text: str) -> None:
    assert message_of(line) == text
