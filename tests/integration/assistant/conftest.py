import uuid
from collections.abc import Iterator

import pytest

from tests.integration.assistant.desk import Desk, open_desk
from todo.core.caller import Caller


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def desk(request: pytest.FixtureRequest) -> Iterator[Desk]:
    """The assistant on each of the databases."""
    with open_desk(request) as desk:
        yield desk


@pytest.fixture
def ann() -> Caller:
    """A new user."""
    return Caller(f"ann-{uuid.uuid4()}")


@pytest.fixture
def ben() -> Caller:
    """Another new user."""
    return Caller(f"ben-{uuid.uuid4()}")
