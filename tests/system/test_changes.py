"""Changed settings, other ports, slow and failing starts: what takes effect, and what is said."""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.guides import blocks_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from deploy.process import Completed
    from tests.system.stack_in_lab import Stack

_QUADLET = ".config/containers/systemd"
_UNITS = ".config/systemd/user"
_BACKEND = f"{_QUADLET}/todo-backend.container.d"
_SOCKET = f"{_UNITS}/todo-backend.socket.d"
_OTHER_PORT = "[Socket]\nListenStream=\nListenStream=127.0.0.1:{}\n"
_PREVIOUS = "todo-token-secret-previous"
_TASKS = "http://127.0.0.1:8000/api/v1/tasks"
_SQUAT = (
    "import socket, time\ns = socket.create_server(('127.0.0.1', 8123))\n"
    "print('ready', flush=True)\ntime.sleep(600)"
)


@contextlib.contextmanager
def drop_in(stack: Stack, folder: str, text: str) -> Iterator[str]:
    """A drop-in for as long as the block runs; what it changed takes effect again behind it."""
    path = f"{folder}/90-test.conf"
    stack.lab.run(["mkdir", "-p", folder])
    stack.lab.run(["tee", path], stdin=text)
    try:
        yield path
    finally:
        stack.lab.run(["rm", "-f", path])
        stack.build("restart", "--no-lab")


def restart(stack: Stack, *, check: bool = True) -> Completed:
    return stack.build("restart", "--no-lab", check=check)


def status(stack: Stack) -> dict[str, Any]:
    found = json.loads(stack.build("status", "--json", "--no-lab", check=False).stdout)
    assert isinstance(found, dict)
    return found


def differing(stack: Stack) -> list[str]:
    return [unit["unit"] for unit in status(stack)["units"] if unit["differs"]]


def variable(stack: Stack, name: str) -> str:
    return stack.in_container(f"import os; print(os.environ.get({name!r}))")


def running(stack: Stack) -> list[str]:
    """Return the state that changes with a restart or other addresses."""
    units = ("todo-backend.socket", "todo-backend", "todo-db")
    invocations = [stack.show(unit, "InvocationID") for unit in units]
    files = stack.lab.run(["find", _SOCKET, "-type", "f"], check=False).stdout
    return [*invocations, stack.show("todo-backend.socket", "Listen"), files]


def error_line(done: Completed) -> str:
    assert done.returncode != 0, done.stdout
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("build.py: ")]
    return line


def accepts(stack: Stack, token: str) -> bool:
    header = f"Authorization: Bearer {token}"
    asked = ["curl", "--silent", "--fail", "--header", header, f"{_TASKS}?limit=1"]
    return stack.lab.run(asked, check=False).returncode == 0


def answers(stack: Stack, port: int) -> bool:
    asked = ["curl", "--silent", "--fail", f"http://127.0.0.1:{port}/livez"]
    return stack.lab.run(asked, check=False).returncode == 0


def test_a_replaced_token_secret_keeps_the_tokens_of_the_former_one(stack: Stack) -> None:
    (block,) = (block for block in blocks_of("secure.md", "sh") if _PREVIOUS in block)
    commands, last, _ = block.rpartition("python3 build.py restart")
    assert last
    before = stack.token("alice")
    try:
        stack.lab.run(["bash", "-euc", commands])
        restart(stack)
        after = stack.token("alice")
        assert accepts(stack, before)
        assert accepts(stack, after)
    finally:
        stack.lab.run(["rm", "-f", f"{_BACKEND}/70-previous-secret.conf"])
        restart(stack)
        stack.podman("secret", "rm", "--ignore", _PREVIOUS)
    assert accepts(stack, after)
    assert not accepts(stack, before)


def test_a_drop_in_takes_effect_with_restart_and_goes_with_up(stack: Stack) -> None:
    assert differing(stack) == []
    with drop_in(stack, _BACKEND, "[Container]\nEnvironment=TODO_LOG_LEVEL=WARNING\n") as path:
        assert differing(stack) == ["todo-backend.service"]
        database = stack.show("todo-db", "InvocationID")
        restart(stack)
        assert variable(stack, "TODO_LOG_LEVEL") == "WARNING"
        assert differing(stack) == []
        assert database == stack.show("todo-db", "InvocationID")

        stack.lab.run(["rm", path])
        assert differing(stack) == ["todo-backend.service"]
        stack.up()
        assert variable(stack, "TODO_LOG_LEVEL") == "None"
        assert differing(stack) == []


def test_a_reload_by_hand_does_not_hide_that_older_settings_run(stack: Stack) -> None:
    with drop_in(stack, _BACKEND, "[Container]\nEnvironment=TODO_LOG_LEVEL=WARNING\n"):
        stack.systemctl("daemon-reload")
        assert differing(stack) == ["todo-backend.service"]
        stack.systemctl("restart", "todo-backend")
        assert differing(stack) == []


def test_a_drop_in_of_the_database_restarts_the_database(stack: Stack) -> None:
    before = stack.show("todo-db", "InvocationID")
    with drop_in(stack, f"{_QUADLET}/todo-db.container.d", "[Service]\nTasksMax=120\n"):
        restart(stack)
        assert stack.show("todo-db", "InvocationID") != before
        assert stack.show("todo-db", "TasksMax") == "120"
        assert differing(stack) == []


def test_other_addresses_of_the_socket_take_effect(stack: Stack) -> None:
    with drop_in(stack, _SOCKET, _OTHER_PORT.format(8111)) as path:
        assert differing(stack) == ["todo-backend.socket"]
        restart(stack)
        assert answers(stack, 8111)
        assert not answers(stack, 8000)
        # By hand, this takes the sockets away from the unit, which stays active.
        stack.lab.run(["rm", path])
        stack.systemctl("daemon-reload")
        assert differing(stack) == ["todo-backend.socket"]
        restart(stack)
        assert answers(stack, 8000)
        assert not answers(stack, 8111)


def test_a_drop_in_with_both_addresses_of_a_former_version_keeps_working(stack: Stack) -> None:
    text = f"{_OTHER_PORT.format(8111)}ListenStream=127.0.0.1:9000\n"
    with drop_in(stack, _SOCKET, text) as path:
        line = error_line(restart(stack, check=False))
        assert "the sockets list the address 127.0.0.1:9000 twice" in line
        stack.up()
        assert answers(stack, 8111)
        assert stack.ready().is_success
        assert differing(stack) == []
        refused = stack.up("--instances=2", check=False)
        assert "several instances need a management address each" in error_line(refused)
        stack.lab.run(["rm", path])
        stack.up()
        assert answers(stack, 8000)
        assert stack.ready().is_success


@pytest.fixture
def squatter(stack: Stack) -> Iterator[int]:
    """A port that another program has."""
    stack.systemctl("reset-failed", "squatter", check=False)
    run = ["systemd-run", "--user", "--unit=squatter", "python3", "-c", _SQUAT]
    stack.lab.run(run)
    wait = "until grep -q ':1FBB 00000000:0000 0A' /proc/net/tcp; do sleep 0.1; done"
    stack.lab.run(["timeout", "120", "bash", "-c", wait], timeout_s=150)
    yield 8123
    stack.systemctl("stop", "squatter")


def test_addresses_that_cannot_be_listened_on_touch_nothing(stack: Stack, squatter: int) -> None:
    before = running(stack)[:-1]
    with drop_in(stack, _SOCKET, _OTHER_PORT.format(squatter)):
        line = error_line(restart(stack, check=False))
        assert f"port {squatter} on 127.0.0.1 is taken" in line
        assert running(stack)[:-1] == before
        assert answers(stack, 8000)


@pytest.mark.parametrize("command", ["up", "install"])
@pytest.mark.parametrize(
    ("port", "cause"),
    [
        ("80", "port 80 requires root"),
        ("9000", "port 9000 is a management port"),
        ("8123", "port 8123 on 127.0.0.1 is taken"),
    ],
)
@pytest.mark.usefixtures("squatter")
def test_a_port_that_cannot_be_used_changes_nothing(
    stack: Stack, command: str, port: str, cause: str
) -> None:
    before = running(stack)
    done = stack.build(command, "--no-lab", f"--port={port}", check=False)
    line = error_line(done)
    assert cause in line
    assert "--port" in line
    assert done.returncode == 78
    assert running(stack) == before
    assert answers(stack, 8000)


def test_installing_another_port_does_not_move_a_stack_that_runs(stack: Stack) -> None:
    before = running(stack)
    done = stack.build("install", "--no-lab", "--port=8124", check=False)
    assert "up --port 8124" in error_line(done)
    assert running(stack) == before


def test_a_start_that_fails_on_another_port_goes_back_to_the_one_before(stack: Stack) -> None:
    listened = stack.show("todo-backend.socket", "Listen")
    # Refuses to start when the sockets are on another port than 8000.
    guard = "[Service]\nExecStartPre=/bin/sh -c 'grep -q \":1F40 .* 0A\" /proc/net/tcp'\n"
    with drop_in(stack, _BACKEND, guard):
        restart(stack)
        line = error_line(stack.up("--port=8124", check=False))
        assert "todo-backend.service did not start" in line
        assert stack.show("todo-backend.socket", "Listen") == listened
        assert answers(stack, 8000)
        assert status(stack)["ready"] is True


def test_a_start_that_is_slow_and_restarts_is_waited_for(stack: Stack) -> None:
    text = "[Service]\nRestartSec=3\nExecStartPre=/bin/sh -c '{}'\n".format(
        "echo trying >> %t/tries; test $$(wc -l < %t/tries) -gt 3"
    )
    stack.lab.run(["rm", "-f", "/run/user/1000/tries"])
    with drop_in(stack, _BACKEND, text):
        restart(stack)
        tries = stack.lab.run(["wc", "-l", "/run/user/1000/tries"]).stdout
        assert tries.startswith("4 ")
        assert status(stack)["ready"] is True


def test_a_bad_setting_fails_at_once_and_status_says_why(stack: Stack) -> None:
    with drop_in(stack, _BACKEND, "[Container]\nEnvironment=TODO_LOG_LEVEL=NOISY\n"):
        done = restart(stack, check=False)
        line = error_line(done)
        assert "TODO_LOG_LEVEL" in line
        assert "exit code 78: an option is missing, unknown or invalid" in line
        assert done.returncode == 78
        shown = stack.build("status", "--no-lab", check=False)
        assert shown.returncode == 3
        assert "TODO_LOG_LEVEL" in shown.stdout
        assert "exit code 78" in shown.stdout
        assert "TODO_LOG_LEVEL" in status(stack)["reason"]


def test_at_the_start_limit_the_failure_and_status_name_the_cause(stack: Stack) -> None:
    limit = "[Unit]\nStartLimitIntervalSec=600\nStartLimitBurst=3\n"
    fails = f"{limit}[Service]\nExecStartPre=/bin/sh -c 'echo Error: no luck; exit 9'\n"
    with drop_in(stack, _BACKEND, fails):
        line = error_line(restart(stack, check=False))
        assert "no luck (exit code 9)" in line
        assert "systemd gave up after 3 restarts" in line
        found = status(stack)
        assert "no luck" in found["reason"]
        assert found["ready"] is False


def test_a_drop_in_that_quadlet_does_not_accept_touches_nothing(stack: Stack) -> None:
    before = running(stack)
    with drop_in(stack, _BACKEND, "[Container]\nPulll=never\n"):
        done = restart(stack, check=False)
        assert "Pulll" in error_line(done)
        assert done.returncode == 65
        assert running(stack) == before


def test_config_names_the_file_of_each_setting_and_hides_passwords(stack: Stack) -> None:
    setting = "[Container]\nEnvironment=TODO_JWKS_URL=https://me:hunter2@auth.invalid/keys\n"
    with drop_in(stack, _BACKEND, f"{setting}[Service]\nMemoryMax=300M\n") as path:
        printed = stack.build("config", "--no-lab").stdout
        assert "hunter2" not in printed
        assert "https://me:***@auth.invalid/keys" in printed
        shown = json.loads(stack.build("config", "--no-lab", "--json").stdout)
        options = {each["name"]: each for each in shown["options"]}
        assert options["TODO_JWKS_URL"]["source"].endswith(f"{path}:2")
        assert options["TODO_JWKS_URL"]["running"] == "none"
        limits = {(each["unit"], each["name"]): each for each in shown["limits"]}
        assert limits["todo-backend.service", "MemoryMax"]["value"] == "300M"
        assert "todo-backend.service" in shown["differs"]
