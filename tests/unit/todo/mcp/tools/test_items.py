import asyncio
import threading

import pytest

from todo.core.errors import ValidationFailedError
from todo.mcp.tool import Json
from todo.mcp.tools.items import read_costly, read_tag
from todo.tasks.recurrence import RuleEvaluation


def find_thread(_item: Json) -> int:
    return threading.get_ident()


@pytest.mark.parametrize("name", ["text", "due", "recurrence"])
def test_a_long_text_is_read_off_the_event_loop(name: str) -> None:
    rules = RuleEvaluation()
    short, long = (
        asyncio.run(read_costly(rules, find_thread, {name: length * "x", "title": 900 * "x"}))
        for length in (200, 201)
    )
    assert short == threading.get_ident()
    assert long != threading.get_ident()


def test_long_texts_of_a_call_have_a_budget() -> None:
    with pytest.raises(ValidationFailedError):
        asyncio.run(read_costly(RuleEvaluation(limit_s=0), find_thread, {"text": 900 * "x"}))


@pytest.mark.parametrize(
    ("given", "tag"), [("@a", "a"), ("#a", "a"), (" a ", "a"), ("@", "@"), ("a@b", "a@b")]
)
def test_a_tag_has_no_sign(given: str, tag: str) -> None:
    assert read_tag(given) == tag
