"""Odd arguments of the right types: each call has a result, and none is an internal error."""

import random
from typing import Any

import pytest

from tests.integration.mcp.agents import Agent
from tests.integration.users import LISTS, Person

ROUNDS = 15
UNKNOWN = "019ab000-0000-7000-8000-000000000001"
TEXTS = [
    "",
    " ",
    "none",
    "a",
    "x" * 300,
    "é" * 1_001,
    "\u202e\u0000"[:1],
    "\n\t",
    "🏴󠁧󠁢󠁳󠁣󠁴󠁿" * 40,
    "e" + "\u0301" * 40,
    "'; DROP TABLE task; --",
    "%s %(a)s {0} \\",
    '"',
    UNKNOWN,
    f"urn:uuid:{UNKNOWN}",
    "{019ab000-0000-7000-8000-000000000001}",
    "0",
    "-1",
    "9" * 40,
    "tomorrow",
    "next friday 3pm",
    "0001-01-01",
    "9999-12-31",
    "9999-12-31T23:59:59-12:00",
    "0001-01-01T00:00:00+14:00",
    "2026-02-30",
    "2026-03-29T02:30",
    "in 99999 years",
    "every 1000000 days",
    "every 5 minutes",
    "FREQ=SECONDLY",
    "FREQ=DAILY;UNTIL=20200101",
    "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30",
    "every last weekday of the month until 1 jan 9999",
    "WzEsMl0",
    "WzIsImNyZWF0ZWQiLHRydWUsbnVsbCwieCJd",
]
NUMBERS = [0, 1, -1, 50, 2**31, 2**53, 2**63 - 1, -(2**63), 2**63, 10**30]


def make_value(schema: dict[str, Any], chance: random.Random, known: list[str]) -> Any:  # noqa: ANN401 - JSON
    """Return a value of the type that a schema has, often one that fits."""
    match schema["type"]:
        case "object":
            required = set(schema.get("required", ()))
            return {
                name: make_value(inner, chance, known)
                for name, inner in schema["properties"].items()
                if name in required or chance.random() < 0.3
            }
        case "array":
            count = chance.choice([0, 1, 1, 1, 2, 3])
            return [make_value(schema["items"], chance, known) for _ in range(count)]
        case "integer":
            least, most = schema.get("minimum", -100), schema.get("maximum", 100)
            return chance.choice([chance.randint(least, min(most, 1000)), *NUMBERS])
        case "boolean":
            return chance.random() < 0.5
        case _:
            return chance.choice([*schema.get("enum", ()), *known, chance.choice(TEXTS)])


@pytest.mark.parametrize("seed", range(4))
def test_no_arguments_end_in_an_internal_error(agent: Agent, alice: Person, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - no secret
    alice.create(LISTS, name="Work")
    known = [*agent.add("a", "b", due="2027-03-05T09:00", recurrence="every week"), "Work"]
    answers = {False: 0, True: 0}
    for tool in agent.list_tools().values():
        for _ in range(ROUNDS):
            arguments = make_value(tool["inputSchema"], chance, known)
            response = agent.send("tools/call", {"name": tool["name"], "arguments": arguments}, {})
            assert "result" in response, (tool["name"], arguments, response)
            result = response["result"]
            answers[result["isError"]] += 1
            if result["isError"]:
                assert "Try next: " in result["content"][0]["text"], (tool["name"], arguments)
    assert min(answers.values()) > 10, answers


def test_long_texts_are_read_and_named_like_others(agent: Agent) -> None:
    costly = (990 // 8) * "5/6 7/8 "
    (task_id,) = agent.add("a")
    for tool, item in (
        ("add_tasks", {"text": costly, "recurrence": costly}),
        ("reschedule_tasks", {"id": task_id, "due": costly}),
    ):
        result = agent.fail(tool, tasks=[item])
        assert result.data["errors"][0]["field"].startswith("tasks.0.")
    long = [{"text": f"{n} {25 * 'call bob '}tomorrow"} for n in range(50)]
    assert len(agent.do("add_tasks", tasks=long)["tasks"]) == 50
