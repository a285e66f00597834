"""The units of several instances on a real file system: made of the first one's, and removed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from deploy import process
from deploy.bootstrap.switches import Value, find_grammar
from deploy.errors import DeployError, ExitCode
from deploy.paths import QUADLET
from deploy.stack import definition, install, instances, local_model, ports, settings
from deploy.stack.local_model import UNCHANGED
from deploy.stack.services import (
    BACKEND,
    MANAGEMENT,
    MAX_INSTANCES,
    SOCKET,
    find_instances,
    find_services,
    find_sockets,
)
from deploy.units.compiler import compile_contract
from deploy.units.loader import load_units
from deploy.units.parser import parse_unit

if TYPE_CHECKING:
    from pathlib import Path

SECOND, THIRD = "todo-backend@2.service", "todo-backend@3.service"
DROPINS = "todo-backend.container.d"


pytestmark = pytest.mark.usefixtures("home")


def write(name: str, text: str) -> Path:
    path = install.destination(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def set_up(number: int | None = None) -> set[str]:
    units = {**local_model.find_units(UNCHANGED), **instances.find_units(number)}
    return install.install(units)


def environment(unit: str) -> dict[str, str]:
    found = settings.read_environment(definition.load(unit))
    return {name: value for name, (value, _) in found.items()}


def management_ports() -> list[int]:
    units = [unit for unit in find_sockets() if unit != SOCKET]
    return [address.port for unit in units for address in ports.parse_unit(definition.load(unit))]


def test_one_instance_has_no_units_of_instances() -> None:
    assert instances.find_units(None) == instances.find_units(1) == {}
    set_up()
    assert find_instances() == (BACKEND,)
    assert find_sockets() == (SOCKET, MANAGEMENT)


def test_later_runs_keep_the_number_and_the_ports() -> None:
    set_up(3)
    assert find_instances() == (BACKEND, SECOND, THIRD)
    assert find_services()[-3:] == find_instances()
    assert set_up() == set()
    assert instances.count() == 3
    found = management_ports()
    set_up(2)
    assert find_instances() == (BACKEND, SECOND)
    assert management_ports() == found[:2]


def test_going_back_to_one_removes_exactly_the_units_of_instances(home: Path) -> None:
    def files() -> set[str]:
        return {str(path.relative_to(home)) for path in (home / "CONFIG_HOME").rglob("*")}

    set_up()
    before = files()
    set_up(4)
    assert instances.find_removed(2) == [THIRD, "todo-backend@4.service"]
    assert instances.find_removed(None) == []
    set_up(1)
    assert files() == before


def test_a_further_instance_differs_from_the_first_only_where_it_has_to() -> None:
    set_up(2)
    first, second = (
        [
            f"{line.key}={line.value}"
            for line in definition.load(f"todo-backend{name}.container").assignments
        ]
        for name in ("", "@2")
    )
    port = management_ports()[1]
    assert sorted(set(second) - set(first)) == sorted(
        [
            "After=todo-backend.socket todo-management@%i.socket",
            "ContainerName=todo-backend-%i",
            "Description=Todo backend, instance %i",
            f"Environment=TODO_MANAGEMENT_BIND=127.0.0.1:{port}",
            "Environment=TODO_INSTANCE_FILE=/run/instances/2",
            next(line for line in second if line.startswith("ExecStopPost=")),
            "Sockets=todo-backend.socket todo-management@%i.socket",
            "Wants=todo-management@%i.socket",
        ]
    )


def test_a_management_socket_belongs_to_its_instance() -> None:
    set_up(2)
    socket = definition.load("todo-management@2.socket")
    assert socket.get("Socket", "Service").value == SECOND
    assert socket.get("Socket", "FileDescriptorName").value == "management"


def test_drop_ins_of_the_first_instance_are_those_of_all() -> None:
    write(f"{DROPINS}/60-mine.conf", "[Container]\nEnvironment=TODO_LOG_LEVEL=DEBUG\n")
    write("todo-backend.service.d/override.conf", "[Service]\nMemoryMax=300M\n")
    set_up(2)
    assert environment("todo-backend@2.container")["TODO_LOG_LEVEL"] == "DEBUG"
    unit = definition.load("todo-backend@2.container")
    assert unit.get("Service", "MemoryMax").value == "300M"
    # It is listed once, and what was installed is not among them.
    assert install.find_dropins() == [install.destination(f"{DROPINS}/60-mine.conf")]


def test_an_instance_keeps_its_own_address_whatever_the_first_one_has() -> None:
    write(f"{DROPINS}/60-mine.conf", "[Container]\nEnvironment=TODO_MANAGEMENT_BIND=127.0.0.1:7\n")
    write(
        "todo-management.socket.d/60-mine.conf",
        "[Socket]\nListenStream=\nListenStream=127.0.0.1:7\n",
    )
    set_up(2)
    assert environment("todo-backend.container")["TODO_MANAGEMENT_BIND"] == "127.0.0.1:7"
    port = management_ports()[1]
    assert environment("todo-backend@2.container")["TODO_MANAGEMENT_BIND"] == f"127.0.0.1:{port}"


def test_one_instance_can_run_another_image(monkeypatch: pytest.MonkeyPatch) -> None:
    down = process.Completed((), 1, "", "")
    monkeypatch.setattr(process, "run", lambda *_, **__: down)
    set_up(3)
    path = write("todo-backend@2.container.d/95-image.conf", "[Container]\nImage=localhost/x:1\n")
    images = [
        definition.load(f"todo-backend{name}.container").get("Container", "Image").value
        for name in ("", "@2", "@3")
    ]
    assert images == ["localhost/todo-backend:latest", "localhost/x:1", images[0]]
    assert path in install.find_dropins()
    limits = [setting for setting in settings.find().limits if "@" in setting.unit]
    assert [(each.unit, each.name, each.value, each.source) for each in limits] == [
        (SECOND, "Image", "localhost/x:1", f"{path}:2")
    ]
    set_up(1)
    assert path.exists()


def test_a_taken_port_is_left_out(taken: int) -> None:
    write(
        "todo-management.socket.d/60-mine.conf",
        f"[Socket]\nListenStream=\nListenStream=127.0.0.1:{taken - 1}\n",
    )
    set_up(2)
    assert management_ports()[1] > taken


def test_the_files_of_instances_are_in_the_folder_of_the_shared_volume() -> None:
    units = {unit.name: unit for unit in load_units(QUADLET, instances=True)}
    backend = compile_contract(units.values()).container("todo-backend")
    (mount,) = [each for each in backend.mounts if each.volume == "todo-instances"]
    assert mount.path == instances.FOLDER
    assert backend.env["TODO_INSTANCE_FILE"] == f"{instances.FOLDER}/1"
    assert f"TODO_INSTANCE_FILE={instances.FOLDER}/2\n" in instances.render_dropin(2, 9001)


def test_an_instance_has_a_back_off_in_place_of_a_start_limit() -> None:
    set_up(2)
    for name in ("todo-backend.container", "todo-backend@2.container"):
        unit = definition.load(name)
        assert unit.get("Unit", "StartLimitIntervalSec").value == "0"
        assert unit.get("Service", "RestartMaxDelaySec").value == "10"


@pytest.mark.parametrize(("number", "pool", "most"), [(5, 10, 9), (8, 10, 6), (2, 25, 24)])
def test_more_connections_than_the_database_has_are_refused(
    number: int, pool: int, most: int
) -> None:
    write(f"{DROPINS}/60-mine.conf", f"[Container]\nEnvironment=TODO_DATABASE_POOL_SIZE={pool}\n")
    with pytest.raises(
        DeployError, match=f"need {number * pool}, and the database has 48"
    ) as caught:
        instances.check(number)
    assert f"TODO_DATABASE_POOL_SIZE={most}" in caught.value.hint
    assert caught.value.code == ExitCode.CONFIG
    instances.check(1)


def test_the_number_of_instances_that_is_suggested_is_possible() -> None:
    instances.check(4)
    with pytest.raises(DeployError) as caught:
        instances.check(5)
    assert caught.value.hint.endswith("python3 build.py up --instances 4")


def test_another_database_has_limits_of_its_own() -> None:
    url = "Environment=TODO_DATABASE_URL=postgresql+psycopg://todo@db.example/todo"
    write(f"{DROPINS}/60-mine.conf", f"[Container]\n{url}\n")
    instances.check(8)


BOTH = "[Socket]\nListenStream=\nListenStream=127.0.0.1:8080\nListenStream=127.0.0.1:{}\n"


def test_a_public_unit_with_both_addresses_is_noticed_by_the_management_address() -> None:
    assert instances.find_both() is None
    path = write(f"{SOCKET}.d/60-mine.conf", BOTH.format(9090))
    assert instances.find_both() is None
    write(f"{DROPINS}/60-mine.conf", "[Container]\nEnvironment=TODO_MANAGEMENT_BIND=[::1]:9090\n")
    both = instances.find_both()
    assert both is not None
    assert (both.port, both.place) == (9090, f"{path}:4")


def test_values_that_the_backend_will_refuse_are_left_to_it() -> None:
    for name in ("TODO_MANAGEMENT_BIND=nowhere", "TODO_DATABASE_POOL_SIZE=many"):
        write(f"{DROPINS}/60-mine.conf", f"[Container]\nEnvironment={name}\n")
        instances.check(2)
        assert instances.find_units(2)


def test_the_dropin_of_a_former_up_does_not_count_as_the_users() -> None:
    install.install({SOCKET: "[Socket]\n", ports.DROPIN: BOTH.format(9000)})
    assert instances.find_both() is None


def test_several_instances_with_one_management_address_are_refused_with_the_file_to_change() -> (
    None
):
    path = write(f"{SOCKET}.d/60-mine.conf", BOTH.format(9000))
    with pytest.raises(DeployError, match=r"need a management address each") as caught:
        instances.check(2)
    assert f"from {path}:4 to " in caught.value.hint
    assert f"{MANAGEMENT}.d/60-address.conf" in caught.value.hint


def test_the_units_are_units_of_systemd() -> None:
    for name, text in instances.find_units(3).items():
        if isinstance(text, str):
            assert parse_unit(name, text).lines


def test_the_switch_accepts_as_many_instances_as_the_stack_knows() -> None:
    for command in ("up", "install"):
        assert find_grammar(command).switches["--instances"] == Value((1, MAX_INSTANCES))
