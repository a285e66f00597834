import asyncio
import uuid
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.assistant.desk import Desk, open_desk
from tests.integration.assistant.model_server import ModelServer, open_model_server
from tests.integration.assistant.turn_world import Play, TurnWorld, open_turn_world
from tests.integration.service import call_admin, make_environment, open_folder
from tests.integration.worlds import find_url
from todo.core.caller import Caller


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def desk(request: pytest.FixtureRequest) -> Iterator[Desk]:
    """The assistant on each of the databases."""
    with open_desk(request) as desk:
        yield desk


@pytest.fixture
def model() -> Iterator[ModelServer]:
    """A model server on loopback."""
    with open_model_server() as started:
        yield started


@pytest.fixture
def ann() -> Caller:
    """A new user."""
    return Caller(f"ann-{uuid.uuid4()}")


@pytest.fixture
def ben() -> Caller:
    """Another new user."""
    return Caller(f"ben-{uuid.uuid4()}")


@pytest.fixture(params=["sqlite", "postgres"])
def play(request: pytest.FixtureRequest) -> Iterator[Play]:
    """Run a test in an application on each of the databases."""
    with open_folder() as folder:
        url = find_url(request, folder)
        _migrate(folder, url)

        def run(act: Callable[[TurnWorld], Awaitable[None]], **options: Any) -> None:  # noqa: ANN401
            async def whole() -> None:
                async with open_turn_world(url, **options) as world:
                    await act(world)

            asyncio.run(whole())

        yield run


def _migrate(folder: Path, url: str) -> None:
    environment = make_environment(folder, {"TODO_DATABASE_URL": url})
    assert call_admin(environment, "migrate").returncode == 0
