"""Numbers of the units: every repetition elsewhere must be equal."""

import re
import shutil
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from deploy.bootstrap import venv
from deploy.errors import DeployError
from deploy.paths import REPO, lock_file
from deploy.units.loader import load_contract, load_units
from deploy.units.spec import MANAGEMENT, PUBLIC, build_args
from todo.config.settings import Settings
from todo.probe import BUSY_TIMEOUT_S, START_TIMEOUT_S

CONTAINERFILE = (REPO / "Containerfile").read_text()
ARGUMENTS = build_args(load_contract(ai=True, backup=True))


def stage(name: str) -> str:
    """The instructions of one stage of the Containerfile."""
    for part in re.split(r"(?m)^(?=FROM )", CONTAINERFILE):
        if re.match(rf"FROM \S+ AS {name}\n", part):
            return part
    pytest.fail(f"the Containerfile has no stage {name}")


def instructions(text: str, name: str) -> list[str]:
    return re.findall(rf"(?m)^{name} (.*)$", text)


@pytest.mark.parametrize("name", sorted(ARGUMENTS))
def test_a_default_of_the_containerfile_is_what_the_units_say(name: str) -> None:
    defaults = {
        value for each, value in re.findall(r"(?m)^ARG (\w+)=(\S+)$", CONTAINERFILE) if each == name
    }
    assert defaults == {ARGUMENTS[name]}


@pytest.mark.parametrize("name", ["ai", "backend", "db"])
def test_an_image_runs_as_its_units_account(name: str) -> None:
    account = f"${{{name.upper()}_UID}}:${{{name.upper()}_GID}}"
    assert instructions(stage(name), "USER") == [account]


@pytest.mark.parametrize("name", ["ai", "backend", "db"])
def test_an_image_stops_by_its_units_signal(name: str) -> None:
    # Kubernetes and `podman kube play` know no other way to say it.
    assert instructions(stage(name), "STOPSIGNAL") == [f"${{{name.upper()}_STOPSIGNAL}}"]


def test_the_backend_image_exposes_the_sockets_ports() -> None:
    assert instructions(stage("backend"), "EXPOSE") == ["${PUBLIC_PORT} ${MANAGEMENT_PORT}"]


@pytest.mark.parametrize(("role", "field"), [(PUBLIC, "bind"), (MANAGEMENT, "management_bind")])
def test_the_programs_default_address_is_the_sockets(role: str, field: str) -> None:
    contract = load_contract()
    address = next(f"{s.host}:{s.port}" for s in contract.sockets if s.role == role)
    assert Settings.model_fields[field].default == address


@pytest.mark.parametrize("name", ["TODO_TOKEN_SECRET_FILE", "TODO_PROBE_BIND"])
def test_the_programs_default_path_is_the_units(name: str) -> None:
    default = Settings.model_fields[name.removeprefix("TODO_").lower()].default
    assert str(default) == load_contract().container("todo-backend").env[name]


def test_every_variable_of_the_units_is_an_option_of_the_program() -> None:
    known = {f"TODO_{name.upper()}" for name in Settings.model_fields}
    used = {
        name
        for each in load_contract(ai=True).containers
        for name in each.env
        if each.image == "localhost/todo-backend:latest"
    }
    assert used <= known


def test_the_secret_is_mounted_where_the_program_looks() -> None:
    backend = load_contract().container("todo-backend")
    assert [each.path for each in backend.secrets] == [backend.env["TODO_TOKEN_SECRET_FILE"]]


def test_the_probe_is_asked_for_the_socket_that_the_program_serves() -> None:
    source = (REPO / "src" / "todo" / "probe.py").read_text()
    bind = load_contract().container("todo-backend").env["TODO_PROBE_BIND"]
    assert bind.removeprefix("unix:") in source


def test_the_probe_gives_a_start_as_long_as_systemd_does() -> None:
    assert load_contract().container("todo-backend").start_timeout_s == START_TIMEOUT_S


@pytest.mark.parametrize("name", ["todo-ai", "todo-backend", "todo-db"])
def test_a_health_check_that_the_machine_holds_back_is_not_a_failure(name: str) -> None:
    health = load_contract(ai=True).container(name).health
    assert health is not None
    assert health.timeout_s >= 30 * BUSY_TIMEOUT_S


def test_migration_and_backend_use_the_same_database_in_two_roles() -> None:
    backend, migration = (
        load_contract().container(name).env for name in ("todo-backend", "todo-migrate")
    )
    urls = [urlsplit(each["TODO_DATABASE_URL"]) for each in (backend, migration)]
    assert len({(url.scheme, url.path, url.query) for url in urls}) == 1
    assert [url.username for url in urls] == [ARGUMENTS["DB_ROLE"], ARGUMENTS["DB_OWNER_ROLE"]]
    assert len({url.username for url in urls}) == 2
    assert migration["TODO_DATABASE_BACKEND_ROLE"] == ARGUMENTS["DB_ROLE"]


def test_the_database_lets_nobody_in_but_its_roles() -> None:
    lines = (REPO / "containers" / "db" / "pg_hba.conf").read_text().splitlines()
    names = ARGUMENTS["DB_NAME"], f"{ARGUMENTS['DB_ROLE']},{ARGUMENTS['DB_OWNER_ROLE']}"
    assert [line.split() for line in lines if not line.startswith("#")] == [
        ["local", *names, "peer"],
        ["local", f"{ARGUMENTS['DB_NAME']},replication", ARGUMENTS["DB_BACKUP_ROLE"], "peer"],
        ["local", "all", "postgres", "peer"],
    ]


def test_the_database_is_the_last_to_be_ended_where_memory_is_short() -> None:
    scores = {
        unit.stem: int(unit.get("Service", "OOMScoreAdjust").value)
        for unit in load_units(ai=True, backup=True)
        if unit.suffix == "container"
    }
    assert sorted(scores, key=lambda name: (scores[name], name)) == [
        *("todo-db", "todo-backend", "todo-wal", "todo-migrate", "todo-backup", "todo-drill"),
        *("todo-ai", "todo-drill-db"),
    ]


def test_the_clients_of_the_database_have_the_group_of_its_socket() -> None:
    contract = load_contract()
    clients = [contract.container(name) for name in ("todo-backend", "todo-migrate")]
    assert {(each.gid,) for each in clients} == {contract.container("todo-db").groups}


def test_the_databases_socket_folder_is_mounted_where_its_address_says() -> None:
    folders = {
        mount.path
        for each in load_contract().containers
        for mount in each.mounts
        if mount.volume == "todo-socket"
    }
    assert folders == {ARGUMENTS["DB_SOCKET_DIR"]}


# -- Backups --------------------------------------------------------------------------------------


def test_the_stack_without_backups_has_nothing_of_them() -> None:
    names = {each.unit for each in load_contract().containers}
    assert not names & {"todo-backup", "todo-wal"}


def test_the_containers_of_backups_differ_in_what_they_run_only() -> None:
    contract = load_contract(backup=True)
    database = contract.container("todo-db")
    both = [contract.container(name) for name in ("todo-backup", "todo-wal")]
    assert {each.image for each in both} == {database.image}
    assert len({(each.uid, each.gid, each.groups, each.mounts) for each in both}) == 1
    assert both[0].groups == database.groups
    assert both[0].uid not in {each.uid for each in load_contract(ai=True).containers}
    for each in both:
        assert each.env["PGHOST"] == ARGUMENTS["DB_SOCKET_DIR"]
        assert each.env["PGDATABASE"] == ARGUMENTS["DB_NAME"]
        assert each.env["BACKUP_FOLDER"] in {mount.path for mount in each.mounts}


def test_the_image_has_every_program_of_the_containers_of_backups() -> None:
    installed = set(re.findall(r"/rootfs(/usr/local/bin/\S+)", stage("db-rootfs")))
    contract = load_contract(backup=True)
    wanted = {contract.container(name).entrypoint[0] for name in ("todo-backup", "todo-wal")}
    assert wanted <= installed
    scripts = REPO / "containers" / "db"
    called = set(
        re.findall(r"\b(keep-backups|record-outcome)\b", (scripts / "make_backup.sh").read_text())
    )
    assert {f"/usr/local/bin/{name}" for name in called} <= installed


def test_the_receiver_is_found_by_the_name_that_it_gives_itself() -> None:
    receiver = load_contract(backup=True).container("todo-wal")
    dropin = (REPO / "quadlet/dropins/todo-db.container.d/40-synchronous.conf").read_text()
    assert f"synchronous_standby_names={receiver.env['PGAPPNAME']}" in dropin


# -- The local model ------------------------------------------------------------------------------


def test_the_stack_without_the_model_has_nothing_of_it() -> None:
    contract = load_contract()
    assert "todo-ai" not in {each.unit for each in contract.containers}
    assert {each.unit for each in contract.volumes} == {"todo-data", "todo-socket"}
    assert not any(name.startswith("TODO_AI_") for name in contract.container("todo-backend").env)


def test_the_backend_asks_the_model_at_the_socket_that_it_listens_on() -> None:
    contract = load_contract(ai=True)
    backend, model = (contract.container(name) for name in ("todo-backend", "todo-ai"))
    assert backend.env["TODO_AI_URL"] == f"unix:{model.env['AI_SOCKET']}"
    folders = {
        (mount.path, mount.read_only)
        for each in (backend, model)
        for mount in each.mounts
        if mount.volume == "todo-ai-socket"
    }
    assert folders == {(ARGUMENTS["AI_SOCKET_DIR"], True), (ARGUMENTS["AI_SOCKET_DIR"], False)}
    assert model.gid == backend.gid


def test_the_health_check_of_the_model_is_a_command_of_its_launcher() -> None:
    source = (REPO / "containers" / "ai" / "todo-ai.c").read_text()
    model = load_contract(ai=True).container("todo-ai")
    assert model.health is not None
    for command in (model.health.command[1], model.command[0]):
        assert f'strcmp(command, "{command}")' in source
    assert instructions(stage("ai"), "ENTRYPOINT") == [f'["{model.health.command[0]}"]']


def test_the_launcher_reads_the_variables_of_its_unit() -> None:
    source = (REPO / "containers" / "ai" / "todo-ai.c").read_text()
    names = {name for name in load_contract(ai=True).container("todo-ai").env if name[:3] == "AI_"}
    assert names == set(re.findall(r'"(AI_[A-Z0-9_]+)"', source))


def test_the_model_is_the_file_of_the_pinned_wheel() -> None:
    folder = ARGUMENTS["AI_MODEL_FILE"].split("/")[-2]
    pinned = venv.versions(lock_file("model").read_text())
    assert list(pinned) == [folder.replace("_", "-")]


def test_threads_that_wait_for_a_processor_are_refused(tmp_path: Path) -> None:
    shutil.copytree(REPO / "quadlet", tmp_path / "quadlet")
    unit = tmp_path / "quadlet" / "todo-ai.container"
    unit.write_text(unit.read_text().replace("CPUQuota=200%", "CPUQuota=150%"))
    with pytest.raises(DeployError, match="grants 1 processors, AI_MAX_THREADS=2"):
        load_contract(tmp_path / "quadlet", ai=True)
