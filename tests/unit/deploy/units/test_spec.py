import dataclasses
import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.errors import DeployError, ExitCode
from deploy.units.compiler import compile_contract
from deploy.units.keys import KINDS
from deploy.units.loader import load_contract
from deploy.units.parser import parse_unit
from deploy.units.spec import MANAGEMENT, PUBLIC, build_args
from tests.unit.deploy.units.sample import (
    compile_with,
    golden,
    parse_all,
    sample_contract,
    sample_texts,
)

BACKEND, DB, SOCKET = "todo-backend.container", "todo-db.container", "todo-backend.socket"


def refusal(name: str, old: str, new: str) -> str:
    with pytest.raises(DeployError) as caught:
        compile_with(name, old, new)
    assert caught.value.code == ExitCode.DATA
    assert caught.value.hint
    return str(caught.value)


def test_the_sample_compiles_to_its_golden_contract() -> None:
    actual = json.dumps(dataclasses.asdict(sample_contract()), indent=2) + "\n"
    assert golden("contract.json", actual) == actual


def test_the_projects_own_units_compile() -> None:
    contract = load_contract()
    assert [c.unit for c in contract.containers] == ["todo-backend", "todo-db", "todo-migrate"]
    assert (contract.port(PUBLIC), contract.port(MANAGEMENT)) == (8000, 9000)


def test_build_args_say_what_the_images_must_agree_with() -> None:
    assert build_args(sample_contract()) == {
        "BACKEND_UID": "10001",
        "BACKEND_GID": "10001",
        "BACKEND_STOPSIGNAL": "SIGTERM",
        "DB_UID": "10002",
        "DB_GID": "10003",
        "DB_STOPSIGNAL": "SIGINT",
        "PUBLIC_PORT": "8080",
        "MANAGEMENT_PORT": "9090",
        "DB_MAJOR": "17",
        "DB_SUITE": "trixie",
        "DB_NAME": "tasks",
        "DB_ROLE": "app",
        "DB_SOCKET_DIR": "/run/todo",
        "MIGRATE_UID": "10004",
        "DB_OWNER_ROLE": "keeper",
    }


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("User=10001", "Usr=10001", ":16: unknown key Usr in [Container] — did you mean User?"),
        ("User=10001", "user=10001", ":16: unknown key user in [Container] — did you mean User?"),
        ("User=10001", "Zzz=1", ":16: unknown key Zzz in [Container] — remove it, or teach it to"),
        ("[Service]", "[Servce]", ":43: unknown section [Servce] in a .container unit — "),
        ("[Service]", "[Socket]", ":43: unknown section [Socket] in a .container unit — "),
    ],
)
def test_an_unknown_key_or_section_is_refused_with_the_nearest_known(
    old: str, new: str, message: str
) -> None:
    assert re.search(re.escape(message), refusal(BACKEND, old, new))


def test_an_unknown_key_is_refused_even_when_its_value_is_empty() -> None:
    assert ":16: unknown key Foo" in refusal(BACKEND, "User=10001", "Foo=")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("User=10001", "User=todo", ":16: User=todo: not a whole number"),
        ("User=10001", "User=0", ":16: User=0: not the number of an unprivileged user"),
        ("HealthInterval=1m0.5s", "HealthInterval=2", "not a duration — write it with a unit"),
        ("HealthInterval=1m0.5s", "HealthInterval=2x", "not a duration"),
        ("RestartSec=100ms", "RestartSec=soon", "not a duration — write, for example, 90"),
        ("MemoryMax=1G", "MemoryMax=1X", "not a size"),
        ("MemoryMax=1G", "MemoryMax=lots", "not a size"),
        ("CPUQuota=150%", "CPUQuota=1.5", "not a percentage"),
        ("TasksMax=64", "TasksMax=-1", "not a whole number"),
        ("Restart=always", "Restart=alway", "write one of no, always"),
        ("ReadOnly=yes", "ReadOnly=y", "not a Boolean"),
        ("ReadOnly=yes", "ReadOnly=no", "every root is read-only"),
        ("ReadOnlyTmpfs=off", "ReadOnlyTmpfs=on", "writable tmpfs mounts without a size"),
        ("NoNewPrivileges=1", "", "quadlet/todo-backend.container: NoNewPrivileges= is missing"),
        ("DropCapability=all", "DropCapability=net_raw", "write one of all"),
        ("mode=0400", "mode=0999", "0999 is not a mode"),
        ("RestartPreventExitStatus=77 78", "RestartPreventExitStatus=777", "not a list of exit"),
        ("size=16m", "size=16x", "16x is not a size"),
        ("size=16m,", "", "a tmpfs requires an absolute path and a size"),
        ("nosuid,", "nosuit,", "unknown option nosuit"),
        ("/run/todo:ro", "/run/todo:ro,ro", "the option ro occurs twice"),
        ("todo-socket.volume:/run/todo:ro", "/srv/todo:/run/todo", "not a mount of a volume unit"),
        ("type=mount", "type=env", "a secret in the environment can be read"),
        ("uid=10001,gid", "uid=10002,gid", "the container's user does not own the secret"),
        ("Notify=true", "Notify=maybe", "write one of true, false, healthy"),
        ("TODO_GREETING=", "GREETING ", "is not NAME=value"),
        ("TODO_GREETING=50%%", "TODO_GREETING=50%", "the specifier %  is expanded"),
    ],
)
def test_a_value_that_cannot_be_read_is_refused(old: str, new: str, message: str) -> None:
    assert message in refusal(BACKEND, old, new)


@pytest.mark.parametrize(
    "command",
    ["/usr/bin/python3 probe.py", "[]", '["probe"]', '["/a", 1]', '["/a", ""]', "none", "[" * 9999],
)
def test_a_health_command_that_needs_a_shell_is_refused(command: str) -> None:
    old = 'HealthCmd=["/usr/bin/python3","/probe.py","livez"]'
    assert "a string needs a shell in the image" in refusal(BACKEND, old, f"HealthCmd={command}")


def test_a_stop_signal_that_does_not_exist_is_refused() -> None:
    assert "not a signal" in refusal(DB, "StopSignal=int", "StopSignal=SIGSTAHP")


@pytest.mark.parametrize(
    "variable",
    [
        "TODO_DATABASE_PASSWORD=x",
        "todo_token_secret=x",
        "OPENAI_API_KEY=x",
        "TODO_DATABASE_URL=postgresql://todo:hunter2@db/todo",
    ],
)
def test_a_password_in_the_environment_is_refused(variable: str) -> None:
    message = refusal(BACKEND, "TODO_SHUTDOWN_DEADLINE_S=2.5", variable)
    assert "in Environment= looks like a password" in message
    assert "hunter2" not in message


def test_a_variable_that_names_a_secrets_file_is_fine() -> None:
    new = "TODO_TOKEN_SECRET_FILE=/run/secrets/todo-token-secret"
    contract = compile_with(BACKEND, "TODO_SHUTDOWN_DEADLINE_S=2.5", new)
    env = contract.container("todo-backend").env
    assert env["TODO_TOKEN_SECRET_FILE"] == "/run/secrets/todo-token-secret"  # noqa: S105 - a path


def test_a_socket_and_the_programs_address_must_be_the_same() -> None:
    message = refusal(SOCKET, "127.0.0.1:8080", "127.0.0.1:8081")
    assert "quadlet/todo-backend.socket:2: ListenStream=127.0.0.1:8081" in message
    assert "quadlet/todo-backend.container:25: TODO_BIND=127.0.0.1:8080" in message
    assert "TODO_MANAGEMENT_BIND=[::1]:9090" in message


def test_an_address_that_no_socket_listens_on_is_refused() -> None:
    message = refusal(SOCKET, "ListenStream=[::1]:9090\n", "")
    assert "quadlet/todo-backend.container:25: todo-backend.socket does not listen" in message


@pytest.mark.parametrize("address", ["8080", "localhost:8080", "127.0.0.1:0", "127.0.0.1:99999"])
def test_a_socket_that_is_no_address_with_a_port_is_refused(address: str) -> None:
    assert "not an address with a port" in refusal(SOCKET, "127.0.0.1:8080", address)


def test_a_socket_of_a_service_that_is_not_there_is_refused() -> None:
    message = refusal(SOCKET, "Service=todo-backend", "Service=todo-bakend")
    assert "the service does not exist — did you mean todo-backend.service?" in message


def test_a_dependency_on_a_unit_that_is_not_there_is_refused() -> None:
    message = refusal(BACKEND, "After=todo-db.service", "After=todo-bd.service")
    assert "the unit todo-bd.service does not exist — did you mean todo-db.service?" in message


def test_a_dependency_on_a_unit_of_the_system_is_fine() -> None:
    contract = compile_with(BACKEND, "After=todo-db.service", "After=network.target")
    assert contract == sample_contract()


def test_a_mount_of_a_volume_that_is_not_there_is_refused() -> None:
    message = refusal(BACKEND, "todo-socket.volume", "todo-sock.volume")
    assert "the unit todo-sock.volume does not exist — did you mean todo-socket.volume?" in message


def test_a_mount_that_would_give_the_volume_to_another_account_is_refused() -> None:
    message = refusal(BACKEND, "/run/todo:ro", "/run/todo:U")
    assert (
        ":U would give todo-socket to 10001:10001, todo-socket.volume says 10002:10003" in message
    )


def test_a_volume_without_an_owner_is_refused() -> None:
    message = refusal("todo-data.volume", "User=10002", "")
    assert "todo-data.volume has no owner" in message


@pytest.mark.parametrize(
    ("name", "old", "new", "message"),
    [
        (BACKEND, "StopTimeout=15", "StopTimeout=2", "not above the program's own deadline"),
        (BACKEND, "StopTimeout=15", "StopTimeout=2", ":40: StopTimeout=2: "),
        (DB, "TimeoutStopSec=75", "TimeoutStopSec=60", "not above StopTimeout=60"),
        (DB, "TimeoutStartSec=180", "TimeoutStartSec=30", "not above the 54 s that the health"),
        (DB, 'HealthCmd=["/usr/bin/pg_isready"]', "", "Notify=healthy: HealthCmd= is missing"),
    ],
)
def test_a_deadline_leaves_room_for_the_one_inside_it(
    name: str, old: str, new: str, message: str
) -> None:
    assert message in refusal(name, old, new)


def test_a_drop_in_can_give_the_backend_a_network() -> None:
    units = parse_all({k: v for k, v in sample_texts().items() if k != BACKEND})
    drop_in = (f"quadlet/{BACKEND}.d/net.conf", "[Container]\nNetwork=\nNetwork=pasta\n")
    backend = parse_unit(f"quadlet/{BACKEND}", sample_texts()[BACKEND], [drop_in])
    assert compile_contract([*units, backend]).container("todo-backend").networks == ("pasta",)


def test_what_is_not_in_the_contract_is_an_error_and_not_a_guess() -> None:
    with pytest.raises(DeployError, match=r"quadlet/todo-ai\.container is missing"):
        sample_contract().container("todo-ai")
    with pytest.raises(DeployError, match="TODO_BIND"):
        dataclasses.replace(sample_contract(), sockets=()).port(PUBLIC)


LINES = st.sampled_from(
    sorted({line for text in sample_texts().values() for line in text.split("\n")})
)


# A busy machine is no reason to fail.
@given(st.sampled_from(KINDS), st.lists(st.one_of(LINES, st.text(max_size=30))))
def test_no_unit_makes_the_compiler_fail_in_another_way(kind: str, lines: list[str]) -> None:
    texts = {**sample_texts(), f"todo-x.{kind}": "\n".join(lines)}
    try:
        compile_contract(parse_all(texts))
    except DeployError as error:
        assert error.code == ExitCode.DATA  # noqa: PT017 - no error at all is fine too
