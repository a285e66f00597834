"""The lists of users who have more of them than a call looks at."""

import pytest

from tests.integration.mcp.agents import MakeAgent
from tests.integration.users import LISTS, TASKS, Person, read

NUMBER = 1001


@pytest.fixture
def crowded(alice: Person) -> Person:
    """Alice with one list more than have names."""
    for number in range(NUMBER):
        alice.create(LISTS, name=f"List {number}")
    return alice


def test_a_name_beyond_the_oldest_thousand_lists_makes_no_second_list(
    crowded: Person, make_agent: MakeAgent
) -> None:
    agent = make_agent(crowded)
    task = {"title": "t", "list": f"List {NUMBER - 1}"}
    failed = agent.fail("add_tasks", tasks=[task], create_missing_lists=True)
    assert "use an id" in failed.text
    assert read(crowded.http.get(TASKS))["items"] == []

    names: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        page = agent.do("lists_and_tags", **cursor)
        names += [each["name"] for each in page["lists"]]
        if "next_cursor" not in page:
            break
        cursor = {"cursor": page["next_cursor"]}
    assert sorted(names) == sorted(f"List {number}" for number in range(NUMBER))
