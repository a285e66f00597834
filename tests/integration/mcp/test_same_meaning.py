"""A line of quick add means the same over HTTP and in the tools, whatever list it is for."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

from tests.integration.mcp.agents import Agent, MakeAgent
from tests.integration.users import LISTS, TASKS, MakePerson, Person, read

PHRASES = Path(__file__).parents[2] / "unit/todo/quickadd/phrases"
# Every so many lines of each file; all of them take a minute.
STEP = 6
_OWN_FIELDS = {"id", "position", "created_at", "updated_at", "due_at"}


def find_zones() -> tuple[str, str]:
    """Return a zone in which it is three at night, and one where it is another day or half of it.

    No phrase has a time near that, so the two ways may be used some minutes apart.
    """
    offset = (3 - datetime.now(UTC).hour + 12) % 24 - 12
    other = offset + 11 if offset < 0 else offset - 11
    return f"Etc/GMT{-offset:+d}", f"Etc/GMT{-other:+d}"


def read_phrases() -> list[str]:
    lines = [
        line for path in sorted(PHRASES.glob("*.jsonl")) for line in path.read_text().splitlines()
    ]
    return [json.loads(line)["text"] for line in lines[::STEP]]


def add_over_http(http: httpx.Client, text: str) -> tuple[dict[str, Any], set[str]]:
    """Return the task, or the codes of what is refused."""
    response = http.post("/api/v1/quick-add", json={"text": text})
    if response.status_code == 201:
        return read(http.get(response.headers["location"])), set()
    return {}, {each["code"] for each in response.json()["errors"]}


def add_as_agent(agent: Agent, text: str) -> tuple[dict[str, Any], set[str]]:
    """Likewise, by the tool."""
    done = agent.call("add_tasks", tasks=[{"text": text}])
    if done.is_error:
        return {}, {each["code"] for each in done.data["errors"]}
    return read(agent.http.get(f"{TASKS}/{done.data['tasks'][0]['id']}")), set()


def compare(agent: Agent) -> None:
    phrases = read_phrases()
    assert len(phrases) > 100
    for text in phrases:
        started = datetime.now(UTC)
        over_http, refused = add_over_http(agent.http, text)
        by_agent, refused_too = add_as_agent(agent, text)
        assert refused_too == refused, text
        # What counts from now, as "in 2 hours", is later by as much.
        passed = datetime.now(UTC) - started
        times = [task.get("due_at") for task in (over_http, by_agent)]
        assert (times[0] is None) == (times[1] is None), text
        if times[0] is not None and times[1] is not None:
            first, second = map(datetime.fromisoformat, (times[0], times[1]))
            assert timedelta(0) <= second - first <= passed, text
        assert {k: v for k, v in by_agent.items() if k not in _OWN_FIELDS} == {
            k: v for k, v in over_http.items() if k not in _OWN_FIELDS
        }, text


def test_a_line_means_the_same_over_http_and_in_the_tools(
    make_agent: MakeAgent, alice: Person
) -> None:
    zone, _ = find_zones()
    read(alice.http.patch("/api/v1/me", json={"zone": zone}))
    for name in ("Work", "Home Office", "Shopping", "Family"):
        alice.create(LISTS, name=name)
    compare(make_agent(alice))


def test_a_token_for_a_list_of_another_user_reads_both_in_the_zone_of_its_own_user(
    make_agent: MakeAgent, make_person: MakePerson
) -> None:
    owner, guest = make_person("owner"), make_person("guest")
    zone, far = find_zones()
    read(owner.http.patch("/api/v1/me", json={"zone": far}))
    read(guest.http.patch("/api/v1/me", json={"zone": zone}))
    shared = owner.create(LISTS, name="Work")
    owner.share(shared["id"], guest, "write")
    agent = make_agent(guest, list_id=shared["id"])
    compare(agent)
    assert agent.do("overview")["zone"] == zone
    assert make_agent(guest).do("find_tasks", list="Work", due="today")["zone"] == zone
