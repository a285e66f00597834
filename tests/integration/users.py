"""Users of a service, each with a client of their own."""

import contextlib
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import httpx

from tests.integration.service import Service

TASKS = "/api/v1/tasks"
LISTS = "/api/v1/lists"


class Person:
    """A user nobody has heard of before, so that tests never see each other's tasks."""

    def __init__(self, service: Service, name: str) -> None:
        self.name = f"{name}-{uuid.uuid4()}"
        self.http = service.client(service.token(self.name))

    def create(self, path: str, **fields: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
        """Create something and return it."""
        return read(self.http.post(path, json=fields), 201)

    def share(self, list_id: str, other: "Person", access: str) -> None:
        """Share a list."""
        read(self.http.put(f"{LISTS}/{list_id}/shares/{other.name}", json={"access": access}))


MakePerson = Callable[[str], Person]
MakeClient = Callable[[], httpx.Client]


@contextlib.contextmanager
def invite(service: Service) -> Iterator[MakePerson]:
    """Make users for the length of the block."""
    with contextlib.ExitStack() as stack:

        def make(name: str) -> Person:
            person = Person(service, name)
            stack.enter_context(person.http)
            return person

        yield make


def read(response: httpx.Response, status: int = 200) -> dict[str, Any]:
    """Return the object of an answer that must have a status."""
    assert response.status_code == status, response.text
    body: dict[str, Any] = response.json()
    return body


def code(response: httpx.Response) -> tuple[int, str]:
    """Return status and code of a problem."""
    return response.status_code, response.json()["code"]


@contextlib.contextmanager
def use_token(service: Service, person: Person, **fields: Any) -> Iterator[httpx.Client]:  # noqa: ANN401 - JSON
    """Open a client with an API token that the person makes."""
    made = person.create("/api/v1/tokens", **{"name": "t", "scopes": ["read"], **fields})
    with service.client(made["token"]) as client:
        yield client
