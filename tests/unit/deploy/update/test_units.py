"""The units of an update: made of the shipped ones, and gone without a trace."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from deploy.stack import definition, install, instances, local_model
from deploy.stack.install import Link
from deploy.stack.services import CANDIDATE_SOCKETS, find_instances, find_services
from deploy.stack.update_state import TRY, UPDATE, Image, Record
from deploy.update import units

if TYPE_CHECKING:
    from pathlib import Path

CANDIDATE = "todo-backend@candidate.container"
OLD = Image("localhost/todo-backend:1-old", "sha256:old")
NEW = Image("localhost/todo-backend:2-new", "sha256:new")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("CONFIG_HOME", "STATE_HOME", "RUNTIME_DIR"):
        monkeypatch.setenv(f"XDG_{name}", str(tmp_path / name))


def set_up(number: int = 1) -> Record:
    install.install(
        {**local_model.find_units(local_model.UNCHANGED), **instances.find_units(number)}
    )
    installed = install.read_installed()
    sources = units.find_sources(installed)
    return Record(UPDATE, TRY, OLD, NEW, installed, sources, "2026-11-30T05:00:00")


def install_candidate(record: Record, *, shared: bool) -> dict[str, str]:
    """Install the candidate; returns its variables."""
    install.install({**record.units, **units.render_candidate(record, shared=shared)})
    unit = definition.load(CANDIDATE)
    pairs = (each.value.partition("=") for each in unit.find_all("Container", "Environment"))
    return {name: value for name, _, value in pairs}


def write_dropin(text: str) -> None:
    path = install.destination("todo-backend.container.d/60-mine.conf")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_the_candidate_runs_the_new_image_once_and_not_at_boot() -> None:
    record = set_up()
    install_candidate(record, shared=True)
    unit = definition.load(CANDIDATE)
    assert unit.get("Container", "Image").value == NEW.reference
    assert unit.get("Container", "ContainerName").value == "todo-backend-candidate"
    assert unit.get("Service", "Restart").value == "no"
    assert unit.find_all("Install", "WantedBy") == ()


@pytest.mark.parametrize("number", [1, 2])
def test_users_reach_the_candidate_only_after_the_trial(number: int) -> None:
    record = set_up(number)
    own = " ".join(CANDIDATE_SOCKETS)
    environment = install_candidate(record, shared=False)
    assert definition.load(CANDIDATE).get("Service", "Sockets").value == own
    # Not in the folder in which instances see each other.
    assert environment["TODO_INSTANCE_FILE"] == "/tmp/candidate"  # noqa: S108 - in the container
    environment = install_candidate(record, shared=True)
    sockets = definition.load(CANDIDATE).get("Service", "Sockets").value
    assert sockets == f"todo-backend.socket {own}"
    assert environment["TODO_INSTANCE_FILE"] == f"{instances.FOLDER}/candidate"


@pytest.mark.parametrize("number", [1, 2])
def test_the_folder_of_instances_is_mounted_once(number: int) -> None:
    record = set_up(number)
    install_candidate(record, shared=True)
    mounts = definition.load(CANDIDATE).find_all("Container", "Volume")
    found = [each.value for each in mounts if instances.FOLDER in each.value]
    # That of several instances comes by the drop-in of all of them.
    assert found == [f"todo-instances.volume:{instances.FOLDER}:U"]


def test_drop_ins_of_the_user_apply_to_the_candidate() -> None:
    write_dropin("[Container]\nEnvironment=TODO_LOG_LEVEL=DEBUG\n")
    assert install_candidate(set_up(), shared=True)["TODO_LOG_LEVEL"] == "DEBUG"


def test_the_candidate_has_its_own_management_socket() -> None:
    environment = install_candidate(set_up(), shared=True)
    path = units.find_path("todo-management@candidate.socket")
    assert environment["TODO_MANAGEMENT_BIND"] == f"unix:{path}"
    text = install.installed_text("todo-management@candidate.socket")
    assert text is not None
    assert f"ListenStream={path}\n" in text
    assert "FileDescriptorName=management\n" in text


def test_the_candidate_takes_what_the_database_has_left() -> None:
    write_dropin("[Container]\nEnvironment=TODO_DATABASE_POOL_SIZE=20\n")
    # 48 connections, of which two instances have 40.
    assert install_candidate(set_up(2), shared=True)["TODO_DATABASE_POOL_SIZE"] == "8"
    assert install_candidate(set_up(1), shared=True)["TODO_DATABASE_POOL_SIZE"] == "20"


def test_the_candidate_does_not_count_as_an_instance_and_leaves_nothing() -> None:
    record = set_up()
    before = find_services()
    install_candidate(record, shared=True)
    assert find_services() == before
    assert find_instances() == ("todo-backend.service",)
    install.install(record.units)
    assert install.read_installed() == dict(record.units)
    assert not install.destination(f"{CANDIDATE}.d").exists()


def test_the_migration_runs_with_the_new_image_beside_the_old_one() -> None:
    record = set_up()
    install.install({**record.units, **units.render_migration(record)})
    unit = definition.load("todo-update-migrate.container")
    assert unit.get("Container", "Image").value == NEW.reference
    assert unit.get("Container", "ContainerName").value == "todo-update-migrate"
    assert unit.find_all("Install", "WantedBy") == ()


def test_another_text_of_the_backend_is_that_of_all_instances() -> None:
    record = set_up(2)
    changed = {**record.sources}
    changed["todo-backend.container"] += "# another\n"
    after = units.render_sources(
        Record(UPDATE, TRY, OLD, NEW, record.units, changed, record.started)
    )
    assert str(after["todo-backend.container"]).endswith("# another\n")
    assert str(after["todo-backend@.container"]).endswith("# another\n")
    assert after["todo-backend@2.container"] == Link("todo-backend@.container")
