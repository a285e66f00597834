from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.integration.service import call_admin, make_environment

if TYPE_CHECKING:
    from tests.integration.cluster import Cluster


@pytest.fixture(params=["sqlite", "postgres"])
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, str]:
    """The environment of another, empty database of each kind."""
    url = f"sqlite:///{tmp_path}/other.db"
    if request.param == "postgres":
        cluster: Cluster = request.getfixturevalue("cluster")
        url = cluster.make_database()
    environment = make_environment(tmp_path, {"TODO_DATABASE_URL": url})
    assert call_admin(environment, "migrate").returncode == 0
    return environment
