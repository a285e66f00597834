"""Processes that open a new database at the same moment.

A few times in each run; more with `PAIRS=200`.
"""

import contextlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.integration.service import Service, make_environment, open_folder

if TYPE_CHECKING:
    from tests.integration.cluster import Cluster

PAIRS = int(os.environ.get("PAIRS", "3"))
PAIR_S = 60
"""What one pair may take on a machine that is ten times slower than a quiet one."""

pytestmark = pytest.mark.longer(PAIR_S * PAIRS)

Command = subprocess.Popen[str]
MakeOptions = Callable[[], contextlib.AbstractContextManager[tuple[Path, dict[str, str]]]]


@pytest.fixture(params=["sqlite", "postgres"])
def make_options(request: pytest.FixtureRequest) -> MakeOptions:
    """Folders with the address of an empty database of each kind."""

    @contextlib.contextmanager
    def make() -> Iterator[tuple[Path, dict[str, str]]]:
        with open_folder() as folder:
            url = f"sqlite:///{folder}/todo.db"
            if request.param == "postgres":
                cluster: Cluster = request.getfixturevalue("cluster")
                url = cluster.make_database()
            yield folder, {"TODO_DATABASE_URL": url, "TODO_DATABASE_MIGRATE": "startup"}

    return make


def start_admin(folder: Path, options: dict[str, str], *arguments: str) -> Command:
    command = [sys.executable, "-m", "todo.admin", *arguments]
    environment = make_environment(folder, options)
    return subprocess.Popen(command, env=environment, stdout=-1, stderr=-1, text=True)


@contextlib.contextmanager
def started_service(folder: Path, options: dict[str, str]) -> Iterator[Service]:
    folder.mkdir()
    service = Service(folder, options)
    try:
        yield service
    finally:
        service.stop()


def test_two_migrations_are_one(make_options: MakeOptions) -> None:
    for _ in range(PAIRS):
        with make_options() as (folder, options):
            pair = [start_admin(folder, options, "migrate") for _ in range(2)]
            outputs = [process.communicate() for process in pair]

        assert [process.returncode for process in pair] == [0, 0], outputs
        assert sum("from nothing" in out for out, _err in outputs) == 1


def test_two_servers_that_migrate_become_ready(make_options: MakeOptions) -> None:
    with (
        make_options() as (folder, options),
        started_service(folder / "a", options) as first,
        started_service(folder / "b", options) as second,
    ):
        for service in (first, second):
            service.wait_ready()
            assert not [each for each in service.events if each["level"] == "ERROR"]
            assert service.errors == ""


def test_a_server_starts_beside_commands(make_options: MakeOptions) -> None:
    with make_options() as (folder, options), started_service(folder / "a", options) as service:
        commands = {
            name: start_admin(folder, options, *name.split())
            for name in ("migrate", "export", "verify", "token --subject alice")
        }
        service.wait_ready()
        outputs = {name: process.communicate() for name, process in commands.items()}
        assert service.errors == ""

    assert commands["migrate"].returncode == 0, outputs
    assert commands["token --subject alice"].returncode == 0, outputs
    for name in ("export", "verify"):
        # Before the migration there is nothing that they could read, and they say so.
        if commands[name].returncode:
            (line,) = outputs[name][1].splitlines()
            assert line.startswith("todo.admin: error: The database schema "), outputs
