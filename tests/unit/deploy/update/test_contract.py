"""The contract step: what refuses it, what it does, and what is left afterwards."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from deploy.errors import DeployError, ExitCode
from deploy.stack import database, install, local_model, systemd, update_state
from deploy.stack.services import BACKEND
from deploy.stack.update_state import Image, KeptImage
from deploy.update import begin, contract, images, preflight, program
from deploy.update.faults import FaultError
from deploy.update.machine import StackMachine
from deploy.update.program import Schemas

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from deploy.stack.install import Link

OLD = Image("localhost/todo-backend:1-old", "sha256:old", "1")
NEW = Image("localhost/todo-backend:2-new", "sha256:new", "2")
GONE = Image("localhost/todo-backend:0-gone", "sha256:gone", "0")
EXEC = "Exec=-m todo.admin migrate --wait 300 --contract\n"


class FakeHost:
    """Images in the storage, a database, and units that only note what was done.

    Attributes:
        running: The digest that the instance runs.
        stored: The oldest program that works with the database; "" without that table.
        fault: What ends the migration; None if it succeeds.
        migrations: The unit of each migration that ran.
        points: The restore points.
        removed: The images that were removed.
        active: Whether the services run.
    """

    def __init__(self) -> None:
        self.running = NEW.digest
        self.stored = "0013"
        self.fault: FaultError | None = None
        self.migrations: list[str] = []
        self.points: list[str] = []
        self.removed: list[Image] = []
        self.active = True
        self._units: Mapping[str, str | Link] = {}

    def read_schemas(self, image: Image) -> Schemas:
        if image == NEW:
            return Schemas("0014", ("0013", "0014"), "0013", 1.0, "0014")
        return Schemas("0013", ("0013",), "0013", 1.0, "0013")

    def find(self, reference: str) -> Image | None:
        return {OLD.digest: OLD, NEW.digest: NEW}.get(reference)

    def query(self, statement: str) -> str:
        if "to_regclass" in statement:
            return "t" if self.stored else "f"
        return self.stored

    def install(self, wanted: Mapping[str, str | Link]) -> None:
        self._units = wanted

    def migrate(self) -> None:
        self.migrations.append(str(self._units["todo-update-migrate.container"]))
        if self.fault:
            raise self.fault


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeHost:
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("CONFIG_HOME", "STATE_HOME", "RUNTIME_DIR"):
        monkeypatch.setenv(f"XDG_{name}", str(tmp_path / name))
    install.install(local_model.find_units(local_model.UNCHANGED))
    update_state.keep(*(KeptImage(each, {}) for each in (GONE, OLD, NEW)))
    host = FakeHost()
    fakes: Mapping[object, Mapping[str, object]] = {
        images: {
            "take": lambda _reference: NEW,
            "find": host.find,
            "find_running": lambda _unit: host.running,
            "get_former": lambda: NEW,
            "remove": host.removed.append,
        },
        program: {"read_schemas": lambda image, _running: host.read_schemas(image)},
        preflight: {"check_units": lambda: None},
        database: {"query": host.query},
        systemd: {"is_active": lambda _unit: host.active},
        StackMachine: {
            "install": lambda _self, wanted: host.install(wanted),
            "migrate": lambda _self: host.migrate(),
            "make_restore_point": lambda _self, name: host.points.append(name),
        },
    }
    for place, functions in fakes.items():
        for name, function in functions.items():
            monkeypatch.setattr(place, name, function)
    return host


def run(*, drops: bool = False) -> str:
    return contract.contract(drops_images=drops, checks_backups=True)


def find_kept() -> list[Image]:
    return [each.image for each in update_state.find_kept()]


def test_a_kept_image_that_needs_the_old_form_refuses_it(host: FakeHost) -> None:
    with pytest.raises(
        DeployError, match=f"{OLD.reference}, which needs schema 0013, is kept"
    ) as caught:
        run()
    assert caught.value.code == ExitCode.REFUSED
    assert (
        "give up rolling back to it: python3 build.py contract --drop-images" in caught.value.hint
    )
    assert (host.migrations, host.removed, find_kept()) == ([], [], [GONE, OLD, NEW])


def test_an_image_that_is_given_up_is_removed_after_the_migration(host: FakeHost) -> None:
    assert run(drops=True) == (
        "contracted: the schema works with programs from 0014 on, before from 0013 on"
    )
    (unit,) = host.migrations
    assert EXEC in unit
    assert host.points[0].startswith("contract-new-")
    # What was removed by hand is not asked.
    assert (host.removed, find_kept()) == ([OLD], [GONE, NEW])
    assert update_state.find_record() is None
    with pytest.raises(DeployError, match="no update has kept the image 1-old"):
        begin.rollback(to="1-old", refuses=False, watch_s=1.0)


def test_an_instance_that_needs_the_old_form_refuses_it_in_any_case(host: FakeHost) -> None:
    host.running = OLD.digest
    with pytest.raises(
        DeployError, match=f"{BACKEND} still runs {OLD.reference}, which needs schema 0013"
    ):
        run(drops=True)
    assert host.migrations == []


def test_a_failed_migration_changes_nothing(host: FakeHost) -> None:
    host.fault = FaultError("it ended")
    with pytest.raises(DeployError, match="has changed nothing: it ended"):
        run(drops=True)
    assert (host.removed, find_kept()) == ([], [GONE, OLD, NEW])
    assert update_state.find_record() is None


@pytest.mark.parametrize(
    ("stored", "words"),
    [("0014", "works with programs from 0014 on"), ("", "has not been migrated yet")],
)
def test_it_does_nothing_where_nothing_is_to_be_taken_away(
    host: FakeHost, stored: str, words: str
) -> None:
    host.stored = stored
    assert words in run()
    assert host.migrations == []


def test_it_needs_the_database_and_a_stack(host: FakeHost, monkeypatch: pytest.MonkeyPatch) -> None:
    host.active = False
    with pytest.raises(DeployError, match="the database is not running"):
        run()
    monkeypatch.setattr(install, "is_installed", lambda: False)
    with pytest.raises(DeployError, match="not installed"):
        run()


def test_a_contract_that_was_killed_leaves_nothing_behind(
    host: FakeHost, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def die() -> None:
        raise SystemExit(137)

    with monkeypatch.context() as killed:
        killed.setattr(host, "migrate", die)
        killed.setattr(update_state, "remove_record", lambda: None)
        with pytest.raises(SystemExit):
            run(drops=True)
    fakes = {
        "stop_candidate": lambda _self: None,
        "point_latest": lambda _self, _image: None,
        "runs": lambda _self, _unit, _image: True,
    }
    for name, function in fakes.items():
        monkeypatch.setattr(StackMachine, name, function)
    run(drops=True)
    assert "A contract to localhost/todo-backend:2-new was interrupted" in capsys.readouterr().err
    assert update_state.find_record() is None
