import json
from typing import Any
from urllib.parse import quote

import pytest

from tests.integration.service import Service
from tests.integration.stored import run_sql
from tests.integration.users import LISTS, TASKS, Person, code, read, use_token

TAGS = "/api/v1/tags"


def tag(person: Person, *tags: str, **fields: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    return person.create(TASKS, title="t", tags=list(tags), **fields)


def names(person: Person, **params: Any) -> list[str]:  # noqa: ANN401 - a query
    return [item["name"] for item in read(person.http.get(TAGS, params=params))["items"]]


def tags_of(person: Person, task: dict[str, Any]) -> list[str]:
    tags: list[str] = read(person.http.get(f"{TASKS}/{task['id']}"))["tags"]
    return tags


def test_each_tag_is_listed_once_by_name(alice: Person) -> None:
    assert names(alice) == []
    tag(alice, "work", "home")
    tag(alice, "work", "büro/éa")
    tag(alice)

    assert names(alice) == ["büro/éa", "home", "work"]


def test_pages_of_tags_go_on_after_the_last_name(alice: Person) -> None:
    expected = [f"t{number:02}" for number in range(25)]
    for start in range(0, 25, 5):
        tag(alice, *expected[start : start + 5])
    seen: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        page = read(alice.http.get(TAGS, params={"limit": 4, **cursor}))
        seen += [item["name"] for item in page["items"]]
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}

    assert seen == expected


@pytest.mark.parametrize("query", ["cursor=x", "cursor=WzEsIiJd", "limit=0", "limit=501", "x=1"])
def test_a_bad_query_names_its_parameter(alice: Person, query: str) -> None:
    answer = read(alice.http.get(f"{TAGS}?{query}"), 422)
    assert answer["errors"][0]["field"] == query.partition("=")[0]


def test_tags_of_others_are_not_seen(alice: Person, bob: Person) -> None:
    list_id = alice.create(LISTS, name="Home")["id"]
    task = tag(alice, "secret", list_id=list_id)
    alice.share(list_id, bob, "write")

    assert names(bob) == []
    assert bob.http.patch(f"{TAGS}/secret", json={"name": "mine"}).status_code == 404
    assert bob.http.delete(f"{TAGS}/secret").status_code == 404
    assert tags_of(alice, task) == ["secret"]


def test_renaming_changes_each_task_in_its_place(alice: Person) -> None:
    first, second, other = tag(alice, "a", "old", "b"), tag(alice, "old"), tag(alice, "b")

    renamed = read(alice.http.patch(f"{TAGS}/old", json={"name": " new "}))

    assert renamed == {"name": "new", "tasks": 2}
    assert tags_of(alice, first) == ["a", "new", "b"]
    assert tags_of(alice, second) == ["new"]
    assert names(alice) == ["a", "b", "new"]
    changed = [read(alice.http.get(f"{TASKS}/{t['id']}"))["version"] for t in (first, second)]
    assert changed == [2, 2]
    assert read(alice.http.get(f"{TASKS}/{other['id']}")) == other
    found = read(alice.http.get(TASKS, params={"tag": "new"}))["items"]
    assert [item["id"] for item in found] == [second["id"], first["id"]]


def test_renaming_to_a_tag_that_there_is_merges_them(alice: Person) -> None:
    both, one = tag(alice, "work", "x", "job"), tag(alice, "job")

    assert read(alice.http.patch(f"{TAGS}/job", json={"name": "work"}))["tasks"] == 2

    assert tags_of(alice, both) == ["work", "x"]
    assert tags_of(alice, one) == ["work"]
    assert names(alice) == ["work", "x"]


def test_renaming_to_the_same_changes_nothing(alice: Person) -> None:
    task = tag(alice, "a")

    assert read(alice.http.patch(f"{TAGS}/a", json={"name": "a"}))["tasks"] == 0
    assert read(alice.http.get(f"{TASKS}/{task['id']}")) == task


def test_a_deleted_tag_leaves_its_tasks(alice: Person) -> None:
    task = tag(alice, "a", "b")

    assert alice.http.delete(f"{TAGS}/a").status_code == 204
    assert alice.http.delete(f"{TAGS}/a").status_code == 404
    assert tags_of(alice, task) == ["b"]
    assert names(alice) == ["b"]


def test_a_tag_may_have_any_character(alice: Person) -> None:
    odd = "a/b?c#d%e 🦊"
    task = tag(alice, odd)

    renamed = alice.http.patch(f"{TAGS}/{quote(odd, safe='')}", json={"name": odd + "!"})

    assert read(renamed)["tasks"] == 1
    assert tags_of(alice, task) == [odd + "!"]


@pytest.mark.parametrize("name", ["", " ", "x" * 51, "a\0", None, 5])
def test_a_bad_name_is_refused(alice: Person, name: object) -> None:
    tag(alice, "a")
    assert alice.http.patch(f"{TAGS}/a", json={"name": name}).status_code == 422


def test_a_repeated_renaming_with_its_key_is_answered_as_before(alice: Person) -> None:
    tag(alice, "a")
    headers = {"Idempotency-Key": "k"}
    answers = [alice.http.patch(f"{TAGS}/a", json={"name": "b"}, headers=headers) for _ in range(2)]

    assert [read(answer)["tasks"] for answer in answers] == [1, 1]


def test_a_tag_of_too_many_tasks_says_the_way_out(alice: Person) -> None:
    create = {"op": "create", "task": {"title": "t", "tags": ["many"]}}
    for _ in range(10):
        batch = alice.http.post(f"{TASKS}/batch", json={"operations": [create] * 100})
        assert batch.status_code == 200
    full = read(alice.http.patch(f"{TAGS}/many", json={"name": "lots"}))
    assert full["tasks"] == 1000
    tag(alice, "lots")

    refused = alice.http.patch(f"{TAGS}/lots", json={"name": "many"})

    assert code(refused) == (409, "conflict")
    assert "/api/v1/tasks/batch" in refused.json()["detail"]
    assert names(alice) == ["lots"]


def test_a_token_for_one_list_has_no_tags(service: Service, alice: Person) -> None:
    list_id = alice.create(LISTS, name="Home")["id"]
    tag(alice, "a", list_id=list_id)
    with use_token(service, alice, scopes=["read", "write", "delete"], list_id=list_id) as agent:
        answers = [
            agent.get(TAGS),
            agent.patch(f"{TAGS}/a", json={"name": "b"}),
            agent.delete(f"{TAGS}/a"),
            agent.delete(f"{TAGS}/absent"),
        ]

    assert [code(answer) for answer in answers] == [(403, "read-only")] * 4


def test_a_renaming_can_be_undone(alice: Person) -> None:
    both, one = tag(alice, "work", "job"), tag(alice, "job")
    run = {"X-Run-Id": "tidy"}
    read(alice.http.patch(f"{TAGS}/job", json={"name": "work"}, headers=run))

    read(alice.http.post("/api/v1/undo", json={"run_id": "tidy"}))

    assert tags_of(alice, both) == ["work", "job"]
    assert tags_of(alice, one) == ["job"]
    assert names(alice) == ["job", "work"]


def test_a_tag_that_is_too_long_in_the_one_form_can_be_named(
    alice: Person, service: Service
) -> None:
    # As an upgrade leaves it: 50 characters, 100 in Normalization Form C.
    kept = "\u0958" * 50
    marked = tag(alice, "before")
    for statement in (
        "UPDATE task SET tags = ? WHERE id = ?",
        "UPDATE task_tag SET tag = ? WHERE task_id = ?",
    ):
        value = json.dumps([kept], ensure_ascii=False) if "tags" in statement else kept
        run_sql(service, statement, value, marked["id"])

    assert names(alice) == [kept]
    found = read(alice.http.get(TASKS, params={"tag": kept}))["items"]
    assert [each["id"] for each in found] == [marked["id"]]
    renamed = read(alice.http.patch(f"{TAGS}/{quote(kept)}", json={"name": "short"}))
    assert renamed == {"name": "short", "tasks": 1}
    assert tags_of(alice, marked) == ["short"]
    assert alice.http.patch(f"{TAGS}/short", json={"name": kept}).status_code == 422
