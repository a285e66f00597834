"""The names by which public front ends call things: understood, refused by name, or ignored."""

from typing import Any

import httpx
import pytest

from tests.integration.users import Person, code, read


def home(person: Person) -> str:
    return f"/api/{person.name}/tasks"


def create(person: Person, **fields: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    return person.create(home(person), **{"title": "t", **fields})


def titles(person: Person, query: str) -> list[str]:
    response = person.http.get(f"{home(person)}?{query}")
    assert response.status_code == 200, response.text
    return [task["title"] for task in response.json()]


def refused(response: httpx.Response) -> list[str]:
    """The names that a refusal names, in its text as well."""
    problem = read(response, 400)
    assert problem["code"] == "unsupported-name"
    names = [error["field"] for error in problem["errors"]]
    assert problem["detail"].startswith(", ".join(names))
    return names


@pytest.mark.parametrize("name", ["is_completed", "completed", "isCompleted", "complete"])
@pytest.mark.parametrize("path", ["complete", "status", "toggle"])
def test_a_state_in_the_body_is_the_state_afterwards(alice: Person, name: str, path: str) -> None:
    url = f"{home(alice)}/{create(alice)['id']}/{path}"

    for wanted in (False, True, True, False, False):
        task = read(alice.http.patch(url, json={name: wanted}))
        assert (task["is_completed"], task["completed"]) == (wanted, wanted)


@pytest.mark.parametrize("path", ["complete", "status", "toggle"])
def test_without_a_state_a_task_is_toggled(alice: Person, path: str) -> None:
    url = f"{home(alice)}/{create(alice)['id']}/{path}"

    assert read(alice.http.patch(url))["completed"] is True
    assert read(alice.http.patch(url, json={}))["completed"] is False
    body = {"completed": None, "user_id": alice.name}
    assert read(alice.http.patch(url, json=body))["completed"] is True


@pytest.mark.parametrize("word", ["COMPLETE", "completed", "Done"])
def test_a_state_may_be_a_word(alice: Person, word: str) -> None:
    task = create(alice)
    url = f"{home(alice)}/{task['id']}"

    for _ in range(2):
        assert read(alice.http.patch(f"{url}/status", json={"status": word}))["completed"] is True
    assert (
        read(alice.http.patch(f"{url}/status", json={"status": "INCOMPLETE"}))["completed"] is False
    )
    assert read(alice.http.put(url, json={"status": word}))["completed"] is True
    assert create(alice, status=word)["completed"] is True
    assert code(alice.http.patch(f"{url}/status", json={"status": "in_progress"}))[0] == 422


@pytest.mark.parametrize(
    ("body", "names"),
    [
        ({"done": True}, ["done"]),
        ({"done": False}, ["done"]),
        ({"done": 0}, ["done"]),
        ({"value": True}, ["value"]),
        ({"value": "false"}, ["value"]),
        ({"checked": 0, "new_status": "pending"}, ["checked", "new_status"]),
        ({"task": {"completed": False}}, ["task"]),
        ({"completed_at": "2031-01-01T00:00:00Z"}, ["completed_at"]),
        ({"completed": True, "title": "u"}, ["title"]),
        ({"state": "done", "isDone": True}, ["state", "isDone"]),
        ({"completed": True, "is_completed": False}, ["is_completed", "completed"]),
        ({"completed": True, "status": "open"}, ["completed", "status"]),
        ({"isCompleted": True, "complete": False}, ["isCompleted", "complete"]),
        ({"complete": False, "x": None, "isCompleted": True}, ["complete", "isCompleted"]),
    ],
)
def test_a_state_that_is_not_understood_toggles_nothing(
    alice: Person, body: dict[str, Any], names: list[str]
) -> None:
    url = f"{home(alice)}/{create(alice)['id']}"

    assert refused(alice.http.patch(f"{url}/complete", json=body)) == names
    assert read(alice.http.get(url))["completed"] is False


def test_an_empty_spelling_says_no_more_than_an_absent_one(alice: Person) -> None:
    url = f"{home(alice)}/{create(alice)['id']}"
    body = {"is_completed": None, "isCompleted": True, "complete": "", "completed_at": "now"}
    body |= {"id": url.rpartition("/")[2], "user_id": alice.name}

    assert read(alice.http.patch(f"{url}/complete", json=body))["completed"] is True


@pytest.mark.parametrize("path", ["complete", "status", "toggle"])
@pytest.mark.parametrize(
    "query",
    ["completed=false", "is_completed=False", "status=pending", "isCompleted=0&_t=17&x="],
)
def test_a_state_in_the_query_is_the_state_afterwards(alice: Person, path: str, query: str) -> None:
    url = f"{home(alice)}/{create(alice)['id']}/{path}"

    assert read(alice.http.patch(f"{url}?{query}"))["completed"] is False
    assert read(alice.http.patch(f"{url}?status=done", json={"completed": True}))["completed"]
    assert read(alice.http.patch(f"{url}?{query}", json={}))["completed"] is False


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("completed=maybe", ["completed"]),
        ("status=in_progress", ["status"]),
        ("status=all", ["status"]),
        ("done=true", ["done"]),
        ("done=all", ["done"]),
        ("completed=true&is_completed=false", ["completed", "is_completed"]),
        ("completed=true&status=pending", ["completed", "status"]),
        ("isCompleted=false", ["isCompleted"]),
    ],
)
def test_a_query_that_is_not_understood_toggles_nothing(
    alice: Person, query: str, names: list[str]
) -> None:
    url = f"{home(alice)}/{create(alice)['id']}"
    # The last of them contradicts the body.
    body = {"completed": True} if query == "isCompleted=false" else {}

    assert refused(alice.http.patch(f"{url}/complete?{query}", json=body)) == names
    assert read(alice.http.get(url))["completed"] is False


@pytest.mark.parametrize("query", ["soft=true", "dry_run=all", "completed=true"])
def test_a_parameter_of_another_write_is_named_and_nothing_is_written(
    alice: Person, query: str
) -> None:
    task = create(alice)
    path, body = f"{home(alice)}/{task['id']}?{query}", {"title": "u"}
    answers = [
        alice.http.delete(path),
        alice.http.put(path, json=body),
        alice.http.patch(path, json=body),
        alice.http.post(f"{home(alice)}?{query}", json=body),
    ]

    for answer in answers:
        assert refused(answer) == [query.partition("=")[0]]
    assert alice.http.get(home(alice)).json() == [task]
    assert alice.http.delete(f"{path.partition('?')[0]}?_t=1&user_id={alice.name}").is_success


def test_a_form_that_changes_one_of_two_fields_changes_the_task(alice: Person) -> None:
    task = create(alice)
    url = f"{home(alice)}/{task['id']}"

    for name, wanted in (("completed", True), ("is_completed", False), ("is_completed", True)):
        shown = read(alice.http.get(url))
        assert read(alice.http.put(url, json={**shown, name: wanted}))["is_completed"] is wanted


def test_patch_changes_a_task_as_put_does(alice: Person) -> None:
    task = create(alice, description="d", priority="low")

    changed = read(alice.http.patch(f"{home(alice)}/{task['id']}", json={"title": "u"}))

    assert changed == {**task, "title": "u", "updated_at": changed["updated_at"]}


SAME = {
    "c b a": (
        *("sort=title&order=desc", "sort_by=title&order=desc", "sortBy=title&sortOrder=desc"),
        *("sort_by=title&sort_order=DESC", "sortBy=title&sortDir=desc", "order=desc"),
    ),
    "a": ("tags=x", "tag=x", "tags=x,", "tag=x&tags=x", "search=first", "q=first"),
    "c": ("limit=1&offset=2", "limit=2&skip=2", "skip=2", "offset=2", "page_size=1&page=3"),
    "a b c": (
        *("_t=17", "_=1&timestamp=2", "tag=&category=&due_status=", "category=all&status=all"),
        *(
            "offset=0",
            "sort=title&sort_by=title",
            "priority=all&tag_ids=",
            "is_completed=false",
            "status_filter=pending",
        ),
    ),
}


@pytest.mark.parametrize("query", [each for queries in SAME.values() for each in queries])
def test_a_list_is_asked_for_by_every_spelling(alice: Person, query: str) -> None:
    expected = next(names for names, queries in SAME.items() if query in queries).split()
    create(alice, title="a", tags=["x"], description="first", due_date="2031-01-01")
    create(alice, title="b", tags=["x,y"], due_date="2031-01-02")
    create(alice, title="c", due_date="2031-01-03")

    assert titles(alice, query) == expected
    assert titles(alice, f"{query}&url_user_id={alice.name}") == expected


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("category=work", ["category"]),
        ("is_favorite=true&category_id=3", ["is_favorite", "category_id"]),
        ("tag_ids=1&tag_ids=2", ["tag_ids"]),
        ("tags=x,y", ["tags"]),
        ("tag=x&tag=y", ["tag"]),
        ("tag=x&tags=y", ["tag", "tags"]),
        ("due_date_start=2031-01-01&due_after=x", ["due_date_start", "due_after"]),
        ("filter_start=x&preset_filter=week", ["filter_start", "preset_filter"]),
        ("sort=title&sort_by=due_date", ["sort", "sort_by"]),
        ("limit=1&limit=2", ["limit"]),
        ("page=1&skip=3", ["page", "skip"]),
        ("status=pending&completed=true", ["status", "completed"]),
        ("Sort=title", ["Sort"]),
        ("anything=1", ["anything"]),
    ],
)
def test_what_would_change_a_list_and_is_not_understood_is_named(
    alice: Person, query: str, names: list[str]
) -> None:
    assert refused(alice.http.get(f"{home(alice)}?{query}")) == names


@pytest.mark.parametrize("name", ["tag", "tags"])
def test_a_tag_of_a_list_is_read_as_the_tag_of_a_task(alice: Person, name: str) -> None:
    create(alice, title="composed", tags=["caf\u00e9"])

    assert titles(alice, f"{name}=cafe%CC%81") == ["composed"]
    for query in (f"{name}=a%00b", f"{name}={'x' * 51}"):
        problem = read(alice.http.get(f"{home(alice)}?{query}"), 422)
        assert [error["field"] for error in problem["errors"]] == [name]


@pytest.mark.parametrize("name", ["search", "q"])
def test_words_of_a_list_may_be_of_any_characters(alice: Person, name: str) -> None:
    create(alice, title="caf\u00e9 noir")
    create(alice, title="other")

    for words in ("cafe%CC%81", "caf%C3%A9", "caf%C3%A9%00noir"):
        assert titles(alice, f"{name}={words}") == ["caf\u00e9 noir"]


def test_many_unknown_names_are_not_repeated_at_length(alice: Person) -> None:
    query = "&".join(f"{'x' * 100}{number}=1" for number in range(50))

    problem = read(alice.http.get(f"{home(alice)}?{query}"), 400)

    assert len(problem["errors"]) == 20
    assert max(len(error["field"]) for error in problem["errors"]) == 64


@pytest.mark.parametrize(
    ("query", "field"),
    [("sort_by=status", "sort_by"), ("skip=-1", "skip"), ("sortOrder=up", "sortOrder")],
)
def test_a_value_that_is_not_understood_is_named_as_it_was_sent(
    alice: Person, query: str, field: str
) -> None:
    problem = read(alice.http.get(f"{home(alice)}?{query}"), 422)

    assert [error["field"] for error in problem["errors"]] == [field]


def test_an_offset_has_the_limit_of_pages(alice: Person) -> None:
    assert titles(alice, "offset=10000") == []
    problem = read(alice.http.get(f"{home(alice)}?skip=10001"), 422)
    assert [error["field"] for error in problem["errors"]] == ["skip"]


def test_a_parameter_that_names_another_user_is_refused(alice: Person) -> None:
    answer = alice.http.get(f"{home(alice)}?url_user_id=somebody")

    assert code(answer) == (403, "other-user")


@pytest.mark.parametrize(
    ("field", "value", "pattern"),
    [
        ("recurrence", "DAILY", "daily"),
        ("recurrence", "NONE", None),
        ("recurrence", None, None),
        ("recurrence_rule", "FREQ=WEEKLY;BYDAY=MO,WE", "weekly"),
        ("recurrence_rule", "rrule:freq=monthly", "monthly"),
        ("recurrenceRule", "FREQ=YEARLY", "yearly"),
        ("recurring_type", "weekly", "weekly"),
        ("recurrencePattern", "Monthly", "monthly"),
        ("recurrence_pattern", "never", None),
    ],
)
def test_a_recurrence_is_read_by_every_spelling(
    alice: Person, field: str, value: str | None, pattern: str | None
) -> None:
    task = create(alice, due_date="2031-01-01", **{field: value})

    assert (task["recurrence_pattern"], task["is_recurring"]) == (pattern, pattern is not None)
    if pattern is not None:
        path = f"{home(alice)}/{task['id']}"
        assert read(alice.http.put(path, json={field: "none"}))["is_recurring"] is False


def test_a_rule_keeps_its_days_when_its_pattern_comes_back(alice: Person) -> None:
    task = create(alice, due_date="2031-01-01", recurrence_rule="FREQ=WEEKLY;BYDAY=MO,WE")
    path = f"{home(alice)}/{task['id']}"

    read(alice.http.put(path, json={"recurrence": "WEEKLY", "title": "u"}))
    stored = read(alice.http.get(f"/api/v1/tasks/{task['id']}"))
    assert (stored["title"], stored["recurrence"]) == ("u", "FREQ=WEEKLY;BYDAY=MO,WE")

    read(alice.http.put(path, json={"recurrence_rule": "FREQ=WEEKLY;BYDAY=FR"}))
    stored = read(alice.http.get(f"/api/v1/tasks/{task['id']}"))
    assert stored["recurrence"] == "FREQ=WEEKLY;BYDAY=FR"


@pytest.mark.parametrize("value", ["sometimes", "FREQ=HOURLY", "FREQ=DAILY;INTERVAL=0", 3, {}, []])
def test_a_recurrence_that_is_none_is_refused(alice: Person, value: object) -> None:
    answer = alice.http.post(home(alice), json={"title": "t", "recurrence_rule": value})

    assert code(answer)[0] == 422


def test_other_fields_are_read_by_every_spelling(alice: Person) -> None:
    task = create(alice, dueDate="2031-01-01", tags="a, b,,a", isCompleted=True)

    assert task["due_date"] == "2031-01-01T00:00:00"
    assert (task["tags"], task["completed"]) == (["a", "b"], True)
    assert create(alice, tag_names=["a"], due_at=None)["tags"] == ["a"]


@pytest.mark.parametrize(
    ("fields", "names"),
    [
        ({"recurrence_interval": 2}, ["recurrence_interval"]),
        ({"tag_ids": [1], "reminder_minutes": 5}, ["tag_ids", "reminder_minutes"]),
        ({"dueDate": "2031-01-01", "due_date": "2031-01-02"}, ["dueDate", "due_date"]),
        ({"is_done": True}, ["is_done"]),
        ({"frequency": "daily", "parentId": "x"}, ["frequency", "parentId"]),
        ({"parent_id": "x", "subtasks": [{"title": "u"}]}, ["parent_id", "subtasks"]),
        ({"list_id": "x"}, ["list_id"]),
        ({"isCompleted": False, "is_complete": True}, ["isCompleted", "is_complete"]),
        ({"is_recurring": False, "recurring": True}, ["is_recurring", "recurring"]),
        ({"recurrence": "DAILY", "recurrence_rule": "FREQ=WEEKLY"}, None),
    ],
)
def test_a_field_whose_value_would_be_lost_is_named_and_nothing_is_written(
    alice: Person, fields: dict[str, Any], names: list[str] | None
) -> None:
    task = create(alice)
    answers = [
        alice.http.post(home(alice), json={"title": "new", **fields}),
        alice.http.put(f"{home(alice)}/{task['id']}", json={"title": "new", **fields}),
    ]

    for answer in answers:
        assert refused(answer) == (names or list(fields))
    assert titles(alice, "") == ["t"]


def test_fields_about_other_things_and_empty_ones_are_ignored(alice: Person) -> None:
    others = {"category": "work", "label": 1, "is_favorite": True, "user_id": "x", "color": {}}
    empty: dict[str, Any] = {
        "tag_ids": [],
        "reminder": None,
        "recurrence_interval": 0,
        "completed_at": "now",
        "parent_id": None,
        "subtasks": [],
    }

    assert create(alice, **others, **empty)["title"] == "t"


def test_a_new_task_has_one_state(alice: Person) -> None:
    body = {"title": "t", "is_completed": False, "completed": True}

    assert refused(alice.http.post(home(alice), json=body)) == ["is_completed", "completed"]
    assert titles(alice, "") == []
