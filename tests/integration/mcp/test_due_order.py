"""Order of due by the clocks of the account, also over pages."""

from typing import Any

import pytest

from tests.integration.mcp.agents import MakeAgent, titles
from tests.integration.users import Person, read

ZONES = ["America/Los_Angeles", "Pacific/Honolulu", "UTC", "Europe/Berlin", "Pacific/Kiritimati"]
IN_ORDER = [
    "1 March",
    "1 March 0:30",
    "1 March 17:00",
    "1 March 23:30",
    "2 March",
    "2 March 9:00",
    "2 March 18:00",
    "3 March",
    "3 March 23:00",
]


@pytest.fixture
def add_tasks(alice: Person, make_agent: MakeAgent) -> Any:  # noqa: ANN401 - a function
    """Return a function that adds tasks to an account in a zone, and returns its agent."""

    def add(zone: str) -> Any:  # noqa: ANN401 - an agent
        read(alice.http.patch("/api/v1/me", json={"zone": zone}))
        agent = make_agent(alice)
        # Those that sort first were not added first.
        tasks = [
            {"title": title, "due": title.replace("March", "March 2027")}
            for title in sorted(IN_ORDER, reverse=True)
        ]
        agent.do("add_tasks", tasks=tasks)
        return agent

    return add


@pytest.mark.parametrize("zone", ZONES)
def test_pages_together_have_each_task_once_in_the_order_of_the_account(
    add_tasks: Any,  # noqa: ANN401 - a function
    zone: str,
) -> None:
    agent = add_tasks(zone)
    for limit in (1, 2, 4, 9):
        found: list[str] = []
        cursor: dict[str, str] = {}
        while True:
            page = agent.do(
                "find_tasks", due_from="1 March 2027", due_to="3 March 2027", limit=limit, **cursor
            )
            found += titles(page["tasks"])
            if "next_cursor" not in page:
                break
            cursor = {"cursor": page["next_cursor"]}
        assert sorted(found) == sorted(IN_ORDER)
        last_days = [title.split()[0] for title in found]
        assert last_days == sorted(last_days)


def test_a_page_in_the_west_does_not_have_tomorrow_without_tonight(add_tasks: Any) -> None:  # noqa: ANN401 - a function
    agent = add_tasks("America/Los_Angeles")

    page = agent.do("find_tasks", due_from="1 March 2027", limit=3)

    assert titles(page["tasks"]) == IN_ORDER[: len(page["tasks"])]
    assert len(page["tasks"]) >= 3
    assert page["has_more"]


def test_the_overview_in_the_west_shows_an_evening_before_the_day_after_it(
    alice: Person, make_agent: MakeAgent
) -> None:
    read(alice.http.patch("/api/v1/me", json={"zone": "America/Los_Angeles"}))
    agent = make_agent(alice)
    agent.do("add_tasks", tasks=[{"text": "Milk in 3 days"}, {"text": "Call in 2 days at 20:00"}])

    section = agent.do("overview", limit=1)["next_7_days"]

    assert titles(section["tasks"]) == ["Call"]
    assert section["has_more"]
