"""The examples of request bodies in the OpenAPI document: sent as they are, and with mistakes."""

import itertools
import json
import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.integration.service import Service, open_service
from tests.integration.users import LISTS, TASKS, MakePerson, Person, invite, read
from todo.api.examples import CONVERSATION_ID, LIST_ID, OTHER_TASK_ID, RUN_ID, TASK_ID, TOKEN_ID

JSON = {"Content-Type": "application/json"}
# For a person who sends JSON these words mean nothing.
PYTHON = re.compile(
    r"\b(Input|dictionary|tuples?|dict|None|NoneType|str|int|float|bool|bytes|datetime|"
    r"discriminator|after validation|unable to|Value error|Extra inputs|keyword|instance|"
    r"pydantic|type=\w+|regex|Traceback)\b|\^\[|\[\]|\{\}|'"
)
MISTAKES: list[Any] = [
    *(None, True, -1, 0, 1.5, 10**30, "", " ", "x", "x" * 11_000, "\0", "\ud800"),
    *([], {}, [None], [[]], [{}], ["x"] * 101, {"x": 1}),
    *("2026-13-45", "2026-02-30T10:00:00Z", "2026-11-25T10:00:00", "9999-12-31T00:00:00Z"),
]
PARAMETERS = ["", "x", "-1", "0", "1e999", "9" * 20, "x" * 3000, "\0", "2026-13-45", TASK_ID[:-1]]


@pytest.fixture(scope="module")
def unlimited() -> Iterator[Service]:
    """A service of its own, for thousands of requests."""
    options = {"TODO_RATE_LIMIT_PER_MINUTE": "0", "TODO_RATE_LIMIT_ADDRESS_PER_MINUTE": "0"}
    with open_service(options) as service:
        service.wait_ready()
        yield service


class Prepared:
    """A user for whom everything exists that the examples name."""

    def __init__(self, person: Person) -> None:
        self.person = person
        self.list_id = person.create(LISTS, name="Errands")["id"]
        token = person.create("/api/v1/tokens", name="tidy", scopes=["write"])
        self.token_id = token["id"]
        bearer = {"Authorization": f"Bearer {token['token']}"}
        read(person.http.post(TASKS, json={"title": "Sweep"}, headers=bearer), 201)
        run = {"X-Run-Id": RUN_ID}
        fields = {"title": "Buy soil", "tags": ["home"], "list_id": self.list_id}
        read(person.http.post(TASKS, json=fields, headers=run), 201)
        self.task_id = person.create(TASKS, title="Water the plants", tags=["home"])["id"]
        self.other_id = person.create(TASKS, title="Buy a can")["id"]
        sent = read(person.http.post("/api/v1/assistant", json={"message": "help"}))
        self.conversation_id = sent["conversation_id"]
        changes = read(person.http.get("/api/v1/changes"))
        self.seq = changes["items"][-1]["seq"]

    def fill(self, value: Any) -> Any:  # noqa: ANN401 - any JSON
        """Return a path or a body with what exists in place of what it names."""
        text = json.dumps(value).replace('"seq": 17', f'"seq": {self.seq}')
        names = {
            TASK_ID: self.task_id,
            OTHER_TASK_ID: self.other_id,
            LIST_ID: self.list_id,
            TOKEN_ID: self.token_id,
            CONVERSATION_ID: self.conversation_id,
            "{task_id}": self.task_id,
            "{list_id}": self.list_id,
            "{user_id}": self.person.name,
            "{user}": "bob",
            "{name}": "home",
        }
        for name, real in names.items():
            text = text.replace(name, real)
        return json.loads(text)


def list_operations(client: httpx.Client) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in client.get("/openapi.json").json()["paths"].items():
        for method, operation in item.items():
            if path.startswith("/api/") and path != "/api/v1/events":
                yield method, path, operation


def list_examples(operation: dict[str, Any]) -> list[Any]:
    content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
    return [example["value"] for example in content.get("examples", {}).values()]


def test_every_example_is_accepted(make_person: MakePerson) -> None:
    count = 0
    for method, path, operation in list_operations(make_person("reader").http):
        expected = {int(code) for code in operation["responses"] if code.startswith("2")}
        for example in list_examples(operation):
            made = Prepared(make_person("user"))
            answer = made.person.http.request(method, made.fill(path), json=made.fill(example))
            assert answer.status_code in expected, (method, path, example, answer.text)
            count += 1
    assert count > 20


def vary(body: Any) -> Iterator[Any]:  # noqa: ANN401 - any JSON
    """Yield a body with one mistake each: in place of a part, in addition to it, without it."""
    yield from MISTAKES
    if isinstance(body, dict):
        yield {**body, "unknown": 1}
        for name, value in body.items():
            yield {key: each for key, each in body.items() if key != name}
            for part in vary(value):
                yield {**body, name: part}
    elif isinstance(body, list):
        for index, value in enumerate(body):
            for part in vary(value):
                yield [*body[:index], part, *body[index + 1 :]]


def list_requests(made: Prepared) -> Iterator[httpx.Request]:
    """Yield requests with a mistake, for every operation."""
    client = made.person.http
    for method, path, operation in list_operations(client):
        address = made.fill(path).replace("{token_id}", TASK_ID)
        names = [each.get("name") for each in operation["parameters"] if each.get("in") == "query"]
        for name, value in itertools.product([*names, "unknown"], PARAMETERS):
            if path != "/api/v1/me":
                yield client.build_request(method, address, params={name: value})
        for name, value in itertools.product(re.findall(r"{(\w+_id)}", path), PARAMETERS):
            shown = path.replace(f"{{{name}}}", value.replace("\0", "%00") or "-")
            yield client.build_request(method, made.fill(shown))
        for content, headers in list_bodies(made, list_examples(operation)):
            yield client.build_request(method, address, content=content, headers=headers)


def list_bodies(made: Prepared, examples: list[Any]) -> Iterator[tuple[bytes, dict[str, str]]]:
    if examples:
        yield b"{}", {}
    for raw in (b"", b"{", b"\xff", b"[" * 5000, b'{"title": NaN}') if examples else ():
        yield raw, JSON
    for example in examples:
        for mistaken in vary(made.fill(example)):
            yield json.dumps(mistaken).encode(), JSON


def test_no_message_has_the_words_of_python(unlimited: Service) -> None:
    messages: dict[str, str] = {}
    count = 0
    with invite(unlimited) as make:
        made = Prepared(make("user"))
        for request in list_requests(made):
            answer = made.person.http.send(request)
            assert answer.status_code < 500, (request.url, request.content, answer.text)
            if answer.status_code < 400:
                continue
            count += 1
            problem = answer.json()
            texts = [
                (problem["detail"], ""),
                *((e["message"], e["field"]) for e in errors(problem)),
            ]
            for text, field in texts:
                assert re.fullmatch(r"[\w./-]*", field, re.ASCII), (field, text)
                messages.setdefault(
                    text, f"{request.method} {request.url} {request.content[:200]!r}"
                )
    assert count > 3000
    assert {text: place for text, place in messages.items() if PYTHON.search(text)} == {}


def errors(problem: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = problem.get("errors", [])
    return found
