"""A line with a time is an addition only if it cannot say what happens."""

from dataclasses import replace

import pytest

from tests.unit.todo.assistant.rules.utterance_book import make_context
from todo.assistant.rules.engine import decide

CONTEXT = replace(make_context(), tasks=())


@pytest.mark.parametrize(
    "line",
    [
        *("dentist moved to 3pm", "mom prefers 6pm", "Omar called at 5pm", "dad said 5pm"),
        *("the shop closes at 8pm", "call with Ben moved to 3pm", "order arrived at 5pm"),
        *("review moved to friday 3pm", "rent increased at midnight", "met Omar at 3pm"),
        *("missed the train at 5pm", "3pm works for me", "3pm suits me", "nobody came at 5pm"),
        *("mom can't make it at 5pm", "Omar will call at 5pm", "the kids had lunch at noon"),
        *("mom coming at 6pm", "skip the gym 6pm", "no meeting at 3pm", "not before 5pm"),
        *("forget the 3pm", "my alarm rings at 6am", "dentist cancelled 3pm"),
        *("moved dentist to 3pm", "grandma visits at 3pm", "my phone died at 10pm"),
        *("kids back at 5pm", "Omar home 6pm", "the shop closed at 8pm", "mom away until 5pm"),
        *("mom worries until 5pm", "mom misses the train at 5pm", "Ben wishes for 6pm"),
    ],
)
def test_what_can_be_a_statement_adds_nothing(line: str) -> None:
    decision = decide(line, CONTEXT)

    assert decision is None or decision.intent != "add"


@pytest.mark.parametrize(
    "line",
    [
        *("dentist fri 3pm", "3pm dentist", "lunch with Sam friday noon", "guided tour 3pm"),
        *("team meeting 3pm", "swimming 6pm", "haircut saturday 10am", "hair cut saturday 10am"),
        *("parents evening 7pm thursday", "drinks with Ann friday 8pm", "set alarm 6am"),
        *("buy used car at 5pm", "order fried rice 6pm", "conference call 3pm", "take pills 8pm"),
        *("call back 5pm", "dinner at home 7pm", "take the train home 6pm", "back exercises 7am"),
        *("read to kids 8pm", "call the plumber at 5pm", "standup 9am every weekday"),
    ],
)
def test_a_thing_with_a_time_is_an_addition(line: str) -> None:
    decision = decide(line, CONTEXT)

    assert decision is not None
    assert (decision.intent, decision.text) == ("add", line)
