import uuid
from collections.abc import Iterator

import pytest

from tests.integration.mcp.agents import Agent, MakeAgent, employ
from tests.integration.mcp.loopback import make_front, open_loopback
from tests.integration.service import Service
from tests.integration.users import Person, read


@pytest.fixture(scope="module")
def token(sqlite_service: Service) -> str:
    """A token of a new user, for everything."""
    return sqlite_service.token(f"user-{uuid.uuid4()}", lifetime_s=3600)


@pytest.fixture(scope="module")
def front(sqlite_service: Service, token: str) -> Iterator[str]:
    """Address of a front of the service for programs that send no token."""
    with open_loopback(make_front(sqlite_service, token)) as address:
        yield address


@pytest.fixture
def make_agent(service: Service) -> Iterator[MakeAgent]:
    """Agents of users of the backend."""
    with employ(service) as make:
        yield make


@pytest.fixture
def agent(make_agent: MakeAgent, alice: Person) -> Agent:
    """An agent of Alice, whose zone is Berlin's."""
    read(alice.http.patch("/api/v1/me", json={"zone": "Europe/Berlin"}))
    return make_agent(alice)
