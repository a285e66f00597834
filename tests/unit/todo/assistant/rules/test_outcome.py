"""Lines that start like something to do, and say what became of it."""

from dataclasses import replace

import pytest

from tests.unit.todo.assistant.rules.names import name_task
from tests.unit.todo.assistant.rules.utterance_book import make_context
from todo.assistant.rules.decision import Decision
from todo.assistant.rules.engine import decide
from todo.assistant.rules.unknown_task import explain

TITLES = ("Order firewood", "Ring Ada", "Renew the lease", "Sauna", "Wash the car", "Buy salt")
CONTEXT = replace(
    make_context(),
    tasks=[name_task(at, title) for at, title in enumerate(TITLES, 1)],
    list_names=("Kitchen", "Shed"),
    read_only_lists=("Team",),
)


@pytest.mark.parametrize(
    ("message", "title"),
    [
        ("order firewood no longer necessary", "Order firewood"),
        ("Order firewood delayed", "Order firewood"),
        ("order firewood: nope", "Order firewood"),
        ("Ring Ada urgent", "Ring Ada"),
        ("ring Ada isn't needed", "Ring Ada"),
        ("renew the lease rejected", "Renew the lease"),
        ("renew the lease erledigt", "Renew the lease"),
        ("wash the car listo", "Wash the car"),
        ("buy salt comprado", "Buy salt"),
        ("buy salt not pepper", "Buy salt"),
        ("sauna now at 7pm", "Sauna"),
        ("remind me about the sauna", "Sauna"),
        ("don't forget the firewood", "Order firewood"),
    ],
)
def test_what_became_of_a_task_is_no_other_task(message: str, title: str) -> None:
    assert decide(message, CONTEXT) is None
    fields = {"title": title, "message": message}
    assert explain(message, CONTEXT) == Decision("help", "known-title", fields=fields)


@pytest.mark.parametrize(
    "message",
    [
        *("rent doubled", "order shipped", "ship sailed", "mail from the bank came", "buy no wine"),
        *(
            "water is cold",
            "call cancelled",
            "order firewood? not yet",
            "hang in there",
            "get well soon",
        ),
        *("we need to talk", "book fair postponed", "plant died yesterday"),
    ],
)
def test_what_is_said_of_a_thing_is_no_task(message: str) -> None:
    assert decide(message, CONTEXT) is None


@pytest.mark.parametrize(
    ("message", "text"),
    [
        ("order firewood for the cabin", "order firewood for the cabin"),
        ("ring Ada about the cancelled trip", "ring Ada about the cancelled trip"),
        ("buy iced tea", "buy iced tea"),
        ("book room no 5", "book room no 5"),
        ("rent a van", "rent a van"),
        ("remind me about the recital", "the recital"),
        ("buy seaweed", "buy seaweed"),
        ("ring Mohammed", "ring Mohammed"),
        ("add it's complicated", "it's complicated"),
        ('add "it"', '"it"'),
        ("add 3 tasks: dust, mop and sweep", "dust\nmop\nsweep"),
        (
            "please create two reminders: air the cellar, oil the gate",
            "air the cellar\noil the gate",
        ),
        ("- feed the fish\n- delete the old photos", "feed the fish\ndelete the old photos"),
    ],
)
def test_what_is_to_be_done_is_still_added(message: str, text: str) -> None:
    assert decide(message, CONTEXT) == Decision("add", text)


@pytest.mark.parametrize(
    ("message", "why"),
    [
        ("add 3 tasks: dust and mop", "several"),
        ("add two tasks: dust, mop tomorrow", "several"),
        ("add two tasks to the shed list", "several"),
        ('add "nails" to shed and "flour" to kitchen', "several"),
        ("- complete the sauna\n- delete the firewood", "several"),
        ("add to kitchen", "no-title"),
        ("put on my shed list", "no-title"),
        *((f"add {word}", "no-title") for word in ("it", "them", "those", "both", "him")),
        ("add these to kitchen", "no-title"),
        ("add agenda to team", "unknown-list"),
        ("add agenda #team", "unknown-list"),
    ],
)
def test_an_addition_that_is_not_clear_asks(message: str, why: str) -> None:
    found = decide(message, CONTEXT)
    assert found is not None
    assert (found.intent, found.text) == ("help", why)
