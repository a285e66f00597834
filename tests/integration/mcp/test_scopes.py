"""A matrix of tools, scopes, the list of the token and the owner of a task, without a leak.

Each answer is searched for words of tasks and lists that the token must not see, and after each
call the journals of both users are searched for changes that it must not make.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.integration.mcp.agents import Agent, MakeAgent
from tests.integration.service import Service
from tests.integration.users import LISTS, TASKS, Person, read

SCOPES = ("read", "write", "delete")
# Scopes do not depend on each other, apart from a plan, which shows what it deletes.
SCOPE_SETS = [*((scope,) for scope in SCOPES), ("write", "delete"), SCOPES]
PLACES = {
    # Name: whose, whether in a list, access of Alice, word that is in nothing else.
    "own": ("alice", False, "owner", "aardvark"),
    "own-list": ("alice", True, "owner", "badger"),
    "own-other-list": ("alice", True, "owner", "cormorant"),
    "foreign": ("bob", False, None, "dromedary"),
    "foreign-list": ("bob", True, None, "echidna"),
    "shared-to-write": ("bob", True, "write", "flamingo"),
    "shared-to-read": ("bob", True, "read", "gazelle"),
}
RESTRICTIONS = [None, "own-list", "shared-to-write", "shared-to-read"]


@dataclass
class Target:
    """A task in a place."""

    place: str
    owner: str
    access: str | None
    word: str
    task_id: str
    list_id: str | None
    seq: int = 0

    def is_seen(self, restriction: str | None) -> bool:
        return self.access is not None and restriction in {None, self.place}

    def is_changed(self, restriction: str | None) -> bool:
        return self.is_seen(restriction) and self.access != "read"


@dataclass
class World:
    """Two users with tasks in all places."""

    people: dict[str, Person]
    targets: dict[str, Target]
    seen: dict[str, int]

    def read_entries(self) -> Iterator[dict[str, Any]]:
        """Yield the entries of both journals since the last time."""
        for name, person in self.people.items():
            page = read(person.http.get("/api/v1/journal?limit=100"))
            yield from (each for each in page["items"] if each["seq"] > self.seen[name])
            self.seen[name] = max([self.seen[name], *(each["seq"] for each in page["items"])])


@pytest.fixture
def world(alice: Person, bob: Person) -> World:
    people = {"alice": alice, "bob": bob}
    world = World(people, {}, {"alice": 0, "bob": 0})
    for place, (owner, in_list, access, word) in PLACES.items():
        person = people[owner]
        list_id = person.create(LISTS, name=f"List {word}")["id"] if in_list else None
        if access in {"read", "write"}:
            bob.share(list_id or "", alice, access)
        fields = {"title": f"Task {word}", "description": f"Notes {word}", "tags": [word]}
        task = person.create(TASKS, **fields, list_id=list_id, due_date="2026-01-01")
        target = Target(place, owner, access, word, task["id"], list_id)
        read(person.http.patch(f"{TASKS}/{task['id']}", json={"priority": "low"}))
        entries = list(world.read_entries())
        target.seq = max(each["seq"] for each in entries if each["id"] == task["id"])
        world.targets[place] = target
    return world


def make_calls(target: Target, number: int) -> Iterator[tuple[str, dict[str, Any], str]]:
    """Yield tool, arguments and scope of calls that are about a task."""
    item = {"id": target.task_id}
    of_list = {"list": target.list_id or "none"}
    yield "overview", {} if target.list_id is None else of_list, "read"
    yield "find_tasks", {**of_list, "status": "any"}, "read"
    yield "find_tasks", {"query": target.word}, "read"
    yield "find_tasks", {"parent_id": target.task_id}, "read"
    yield "lists_and_tags", {}, "read"
    yield "changes_since", {} if target.list_id is None else of_list, "read"
    yield "search", {"query": target.word}, "read"
    yield "fetch", item, "read"
    # First, while nothing newer is in the way.
    if target.owner == "alice":
        yield "undo", {"seq": target.seq}, "write"
    if target.list_id is not None:
        yield "undo", {"seq": target.seq, **of_list}, "write"
    if target.list_id is not None:
        yield "add_tasks", {"tasks": [{"title": f"new {number}", **of_list}]}, "write"
    yield (
        "add_tasks",
        {"tasks": [{"title": f"below {number}", "parent_id": target.task_id}]},
        "write",
    )
    yield "update_tasks", {"tasks": [{**item, "add_tags": [f"t{number}"[:50]]}]}, "write"
    yield "update_tasks", {"tasks": [{**item, "remove_tags": [f"t{number}"[:50]]}]}, "write"
    yield "reschedule_tasks", {"tasks": [{**item, "due": f"2026-02-{1 + number % 28:02}"}]}, "write"
    yield "complete_tasks", {"tasks": [item]}, "write"
    yield "complete_tasks", {"tasks": [item], "reopen": True}, "write"
    # Makes a plan, which shows tasks, and deletes nothing.
    yield "delete_tasks", {"tasks": [item]}, "delete"


# What may fail although the token is good for it, or finds nothing instead of failing.
_UNCERTAIN = {"undo", "overview", "find_tasks", "lists_and_tags", "changes_since", "search"}


@pytest.mark.parametrize("restriction", RESTRICTIONS)
def test_no_token_leads_beyond_its_scopes_and_its_list(
    world: World, make_agent: MakeAgent, restriction: str | None
) -> None:
    alice = world.people["alice"]
    list_id = restriction and world.targets[restriction].list_id
    hidden = [each.word for each in world.targets.values() if not each.is_seen(restriction)]
    numbers = itertools.count()
    done: set[str] = set()
    for scopes in SCOPE_SETS:
        agent = make_agent(alice, *scopes, list_id=list_id)
        # The journal has the new token as well.
        assert {entry["kind"] for entry in world.read_entries()} == {"token"}
        tools = agent.list_tools()
        for target in world.targets.values():
            for tool, arguments, scope in make_calls(target, next(numbers)):
                assert (tool in tools) is (scope in scopes)
                result = agent.call(tool, **arguments)
                case = (scopes, target.place, tool, arguments, result.text)
                said = result.text + str(result.data)
                assert not any(word in said for word in hidden), case
                if scope not in scopes or (scope == "delete" and "read" not in scopes):
                    assert result.data["code"] == "insufficient-scope", case
                elif scope != "write":
                    is_allowed = (
                        target.is_seen(restriction)
                        if scope == "read"
                        else target.is_changed(restriction)
                    )
                    assert tool in _UNCERTAIN or result.is_error is not is_allowed, case
                else:
                    is_allowed = target.is_changed(restriction)
                    entries = list(world.read_entries())
                    check_entries(world, entries, restriction, case)
                    assert bool(entries) is not result.is_error, case
                    assert tool in _UNCERTAIN or result.is_error is not is_allowed, case
                if not result.is_error:
                    done.add(tool)
            # Neither reads, plans nor refused calls have changed anything.
            assert list(world.read_entries()) == [], (scopes, target.place)
    # Otherwise the matrix would say nothing about a tool that always fails.
    always = {"overview", "find_tasks", "lists_and_tags", "changes_since", "search", "fetch"}
    writes = {
        "add_tasks",
        "update_tasks",
        "reschedule_tasks",
        "complete_tasks",
        "delete_tasks",
        "undo",
    }
    assert done == (always if restriction == "shared-to-read" else always | writes)


def check_entries(
    world: World, entries: list[dict[str, Any]], restriction: str | None, case: object
) -> None:
    """Check that each change is one of a task that the token may change."""
    changed = {
        (target.owner, target.list_id)
        for target in world.targets.values()
        if target.is_changed(restriction)
    }
    names = {person.name: name for name, person in world.people.items()}
    for entry in entries:
        document = entry["after"] or entry["before"]
        assert entry["kind"] == "task", case
        assert entry["actor"] == world.people["alice"].name, case
        assert entry["token_id"] is not None, case
        assert (names[document["owner"]], document["list_id"]) in changed, case


def test_a_word_that_is_searched_for_finds_nothing_of_others(
    world: World, make_agent: MakeAgent
) -> None:
    agent = make_agent(world.people["alice"])
    for target in world.targets.values():
        found = agent.do("find_tasks", query=target.word, status="any")["tasks"]
        assert [task["id"] for task in found] == (
            [target.task_id] if target.owner == "alice" else []
        )
        found = agent.do("search", query=target.word)["results"]
        assert [task["id"] for task in found] == (
            [target.task_id] if target.owner == "alice" else []
        )


def test_an_unknown_id_and_one_that_is_not_seen_are_answered_alike(
    world: World, make_agent: MakeAgent
) -> None:
    agent = make_agent(world.people["alice"], list_id=world.targets["own-list"].list_id)
    unknown = "019ab000-0000-7000-8000-000000000001"
    for place in ("own", "own-other-list", "foreign", "foreign-list", "shared-to-write"):
        task_id = world.targets[place].task_id
        for tool, fields in (
            ("update_tasks", {"title": "x"}),
            ("reschedule_tasks", {"due": "2026-01-02"}),
            ("complete_tasks", {}),
        ):
            answers = [
                agent.fail(tool, tasks=[{"id": each, **fields}]).text for each in (unknown, task_id)
            ]
            assert answers[0] == answers[1]
        assert agent.fail("fetch", id=unknown).text == agent.fail("fetch", id=task_id).text


def test_a_token_for_one_list_adds_to_that_list(world: World, make_agent: MakeAgent) -> None:
    target = world.targets["shared-to-write"]
    agent: Agent = make_agent(world.people["alice"], list_id=target.list_id)
    (task,) = agent.do("add_tasks", tasks=[{"text": "Buy milk tomorrow"}])["tasks"]
    assert task["list"] == "List flamingo"
    result = agent.fail(
        "add_tasks", tasks=[{"title": "x", "list": "New"}], create_missing_lists=True
    )
    (error,) = result.data["errors"]
    assert (error["field"], error["code"]) == ("tasks.0.list", "read-only")
    assert "cannot create another" in error["message"]
    assert agent.fail("add_tasks", tasks=[{"title": "x", "list": "List badger"}]).is_error
    shown = agent.do("lists_and_tags")
    assert [each["name"] for each in shown["lists"]] == ["List flamingo"]
    assert shown["tags"] == []


def test_a_refused_call_is_logged(
    world: World,
    make_agent: MakeAgent,
    service: Service,
) -> None:
    agent = make_agent(world.people["alice"], "read")
    agent.fail("update_tasks", tasks=[{"id": world.targets["own"].task_id, "title": "x"}])
    refused = [each for each in service.events if each["message"] == "tool call refused"]
    assert "update_tasks" in {each["tool"] for each in refused}
