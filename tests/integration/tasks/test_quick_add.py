from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest

from tests.integration.service import Service
from tests.integration.users import LISTS, TASKS, Person, code, read, use_token

PATH = "/api/v1/quick-add"
# Always a day away from UTC's calendar for some hours, so that a wrong zone is found.
ZONE = "Pacific/Kiritimati"


def add(client: httpx.Client, text: str, **fields: object) -> httpx.Response:
    return client.post(PATH, json={"text": text, **fields})


def preview(client: httpx.Client, text: str, **fields: object) -> dict[str, Any]:
    sent = {"text": text, **fields}
    return read(client.post(PATH, json=sent, params={"preview": "true"}))


def make_list(person: Person, name: str) -> str:
    return str(person.create(LISTS, name=name)["id"])


def titles(client: httpx.Client) -> list[str]:
    return [item["title"] for item in read(client.get(TASKS))["items"]]


def tomorrow(zone: str) -> date:
    return datetime.now(ZoneInfo(zone)).date() + timedelta(days=1)


def test_a_line_of_text_creates_a_task(alice: Person) -> None:
    read(alice.http.patch("/api/v1/me", json={"zone": ZONE}))
    before = tomorrow(ZONE)

    response = add(alice.http, "Water the plants tomorrow @home p1")

    task = read(response, 201)["task"]
    assert (task["title"], task["priority"], task["tags"]) == ("Water the plants", "high", ["home"])
    assert before <= date.fromisoformat(task["due_date"]) <= tomorrow(ZONE)
    assert response.headers["location"] == f"{TASKS}/{task['id']}"
    stored = alice.http.get(response.headers["location"])
    assert stored.json() == task
    assert stored.headers["etag"] == response.headers["etag"]


def test_a_preview_returns_the_meaning_and_creates_nothing(alice: Person) -> None:
    text = "Water the plants tomorrow @home"

    shown = preview(alice.http, text)

    assert shown["task"]["title"] == "Water the plants"
    assert shown["task"]["tags"] == ["home"]
    assert shown["zone"] == "UTC"
    assert shown["questions"] == []
    parts = [(text[span["start"] : span["end"]], span["kind"]) for span in shown["spans"]]
    assert parts == [("tomorrow", "due"), ("@home", "tag")]
    assert titles(alice.http) == []


def test_a_preview_says_the_recurrence_in_words(alice: Person) -> None:
    shown = preview(alice.http, "Report every!2 weeks on friday")["task"]

    assert shown["recurrence"] == "FREQ=WEEKLY;INTERVAL=2;BYDAY=FR"
    assert shown["recurrence_text"] == "every 2 weeks on Friday after completion"


def test_characters_are_code_points(alice: Person) -> None:
    text = "🦊🦊 tomorrow"

    shown = preview(alice.http, text)

    assert [(span["start"], span["end"]) for span in shown["spans"]] == [(3, 11)]


def test_a_repeated_request_creates_one_task(alice: Person) -> None:
    headers = {"Idempotency-Key": "one"}

    first, second = (
        alice.http.post(PATH, json={"text": "milk tomorrow"}, headers=headers) for _ in range(2)
    )

    assert first.content == second.content
    assert titles(alice.http) == ["milk"]


def test_a_name_means_a_list_if_there_is_one_and_a_tag_otherwise(alice: Person) -> None:
    garden = make_list(alice, "Garden")

    task = read(add(alice.http, "dig #garden #tools"), 201)["task"]

    assert (task["list_id"], task["tags"], task["title"]) == (garden, ["tools"], "dig")


def test_the_list_of_the_request_replaces_that_of_the_text(alice: Person) -> None:
    make_list(alice, "garden")
    house = make_list(alice, "house")

    task = read(add(alice.http, "dig #garden", list_id=house), 201)["task"]

    assert task["list_id"] == house


def test_two_lists_of_one_name_are_not_guessed(alice: Person) -> None:
    garden = make_list(alice, "garden")
    make_list(alice, "garden")

    problem = add(alice.http, "dig #garden")

    assert code(problem) == (422, "validation-failed")
    assert problem.json()["errors"][0]["code"] == "ambiguous-list"
    assert "`list_id`" in problem.json()["errors"][0]["message"]
    assert titles(alice.http) == []
    # The choice of the request is an answer to that.
    assert read(add(alice.http, "dig #garden", list_id=garden), 201)["task"]["list_id"] == garden


def test_an_own_list_goes_before_a_shared_one_of_its_name(alice: Person, bob: Person) -> None:
    bob.share(make_list(bob, "garden"), alice, "write")
    own = make_list(alice, "garden")

    assert read(add(alice.http, "dig #garden"), 201)["task"]["list_id"] == own


@pytest.mark.parametrize("spelling", ["Garden", "garden", "GARDEN"])
def test_case_does_not_choose_the_list_of_another_user(
    alice: Person, bob: Person, spelling: str
) -> None:
    own = make_list(alice, "Garden")
    bob.share(make_list(bob, "garden"), alice, "write")

    assert read(add(alice.http, f"dig #{spelling}"), 201)["task"]["list_id"] == own


def test_blanks_and_case_do_not_choose_between_own_lists(alice: Person) -> None:
    make_list(alice, "Family Stuff")
    make_list(alice, "family-stuff")

    problem = add(alice.http, 'dig #"Family Stuff"')

    assert problem.json()["errors"][0]["code"] == "ambiguous-list"


def test_a_repeated_request_gets_its_answer_although_the_text_is_not_clear_any_more(
    alice: Person,
) -> None:
    make_list(alice, "garden")
    headers = {"Idempotency-Key": "one"}
    first = alice.http.post(PATH, json={"text": "dig #garden"}, headers=headers)
    make_list(alice, "Garden")

    second = alice.http.post(PATH, json={"text": "dig #garden"}, headers=headers)

    assert read(second, 201) == read(first, 201)
    assert titles(alice.http) == ["dig"]


@pytest.mark.parametrize(
    ("text", "tag"),
    [
        ("book #c++", "c++"),
        ("book #nai\u0308ve", "naïve"),
        ("दवा #दवाई", "दवाई"),
        ("買う #買い物", "買い物"),
        ("dig #garden.", "garden"),
    ],
)
def test_a_tag_has_the_letters_of_any_script(alice: Person, text: str, tag: str) -> None:
    assert read(add(alice.http, text), 201)["task"]["tags"] == [tag]


def test_a_shared_list_has_a_name_if_it_can_be_written_to(alice: Person, bob: Person) -> None:
    to_write, to_read = make_list(bob, "ours"), make_list(bob, "theirs")
    bob.share(to_write, alice, "write")
    bob.share(to_read, alice, "read")

    task = read(add(alice.http, "dig #ours"), 201)["task"]

    assert (task["list_id"], task["owner"]) == (to_write, bob.name)
    tagged = read(add(alice.http, "dig #theirs"), 201)["task"]
    assert (tagged["list_id"], tagged["tags"]) == (None, ["theirs"])


def test_the_lists_of_others_have_no_name(alice: Person, bob: Person) -> None:
    make_list(bob, "secret")

    task = read(add(alice.http, "dig #secret"), 201)["task"]

    assert (task["list_id"], task["tags"]) == (None, ["secret"])


def test_a_token_for_one_list_knows_no_other(service: Service, alice: Person) -> None:
    garden = make_list(alice, "garden")
    make_list(alice, "house")
    scopes = ["read", "write"]
    with use_token(service, alice, scopes=scopes, list_id=garden) as agent:
        task = read(add(agent, "dig #house"), 201)["task"]

        assert (task["list_id"], task["tags"]) == (garden, ["house"])


def test_a_token_that_only_reads_is_refused(service: Service, alice: Person) -> None:
    with use_token(service, alice, scopes=["read"]) as agent:
        assert code(add(agent, "dig tomorrow")) == (403, "insufficient-scope")


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("tomorrow @home", "has no title"),
        ("x" * 1001, "1000"),
        ("x" * 300, "`title`"),
        (" ".join(f"@t{number}" for number in range(11)) + " dig", "`tags`"),
        ("dig \0", "NUL"),
    ],
)
def test_a_text_that_makes_no_task_is_refused_with_the_reason(
    alice: Person, text: str, part: str
) -> None:

    problem = add(alice.http, text)

    assert code(problem) == (422, "validation-failed")
    (error,) = problem.json()["errors"]
    assert error["field"] == "text"
    assert part in error["message"]
    assert titles(alice.http) == []


def test_an_ambiguous_text_creates_nothing_and_lists_choices(alice: Person) -> None:
    text = "pay the rent 3/4"

    problem = add(alice.http, text)

    assert code(problem) == (422, "ambiguous-text")
    (error,) = problem.json()["errors"]
    assert text[error["start"] : error["end"]] == "3/4"
    assert len(error["choices"]) == 2
    assert titles(alice.http) == []
    assert preview(alice.http, text)["questions"][0]["choices"] == error["choices"]
    for choice in error["choices"]:
        fixed = text[: error["start"]] + choice + text[error["end"] :]
        due = read(add(alice.http, fixed), 201)["task"]["due_date"]
        assert date.fromisoformat(due) >= datetime.now(UTC).date() - timedelta(days=1)


def test_a_preview_refuses_an_invalid_key(alice: Person) -> None:
    key = {"Idempotency-Key": "x" * 256}

    response = alice.http.post(f"{PATH}?preview=true", json={"text": "dig"}, headers=key)

    assert code(response) == (400, "malformed-request")


def test_an_unknown_parameter_is_refused(alice: Person) -> None:

    response = alice.http.post(PATH, json={"text": "dig"}, params={"dry_run": "true"})

    assert response.status_code == 422
    assert titles(alice.http) == []
