"""Each mistake and each shortage: one clear line, an exit code, nothing half-done."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import time
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.system.stack_in_lab import BUILD, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from deploy.process import Completed
    from tests.system.stack_in_lab import Stack

_SOCKET = ("todo-backend.socket", "todo-backend")


def error_line(done: Completed) -> str:
    """The one error line of a failed `build.py`; no traceback may stand beside it."""
    assert done.returncode != 0, done.stdout
    assert "Traceback" not in done.stdout + done.stderr
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("build.py: ")]
    return line


def test_a_token_secret_that_is_too_short(stack: Stack) -> None:
    kept = stack.podman(
        "secret", "inspect", "--showsecret", "--format={{.SecretData}}", "todo-token-secret"
    ).stdout.rstrip("\n")
    replace = ["podman", "secret", "create", "--replace", "todo-token-secret", "-"]
    stack.lab.run(replace, stdin="short")
    try:
        done = stack.build("restart", "--no-lab", check=False)
        line = error_line(done)
        assert "todo-backend.service did not start" in line
        assert "32" in line  # how long it has to be
        assert stack.show("todo-backend", "ExecMainStatus") == "77"
        time.sleep(2)
        assert stack.show("todo-backend", "NRestarts") == "0"
    finally:
        stack.lab.run(replace, stdin=kept)


def test_a_port_that_is_taken(stack: Stack) -> None:
    stack.build("down", "--no-lab")
    with subprocess.Popen(
        stack.lab.netns_argv(["python3", "-m", "http.server", "--bind=127.0.0.1", "8000"]),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as squatter:
        try:
            wait_until(
                lambda: httpx.get(f"http://127.0.0.1:{stack.port}").is_success, 300, "squatting"
            )
            done = stack.up(check=False)
            line = error_line(done)
            assert "port 8000 on 127.0.0.1 is taken" in line
            assert "--port" in line
            other = stack.up("--port=8123")
            assert "http://127.0.0.1:8123" in other.stdout
            assert "http://127.0.0.1:8123" in stack.up().stdout
        finally:
            squatter.terminate()
    assert "http://127.0.0.1:8000" in stack.up("--port=8000").stdout


def test_a_data_volume_of_an_older_major_version(stack: Stack) -> None:
    folder = stack.podman("volume", "inspect", "--format={{.Mountpoint}}", "todo-data")
    version = f"{folder.stdout.strip()}/data/PG_VERSION"
    stack.build("down", "--no-lab")
    write = ["podman", "unshare", "tee", version]
    stack.lab.run(write, stdin="16\n")
    try:
        line = error_line(stack.up(check=False))
        assert "PostgreSQL 16" in line
        assert "17" in line
        assert stack.show("todo-db", "ExecMainStatus") == "78"
    finally:
        stack.lab.run(write, stdin="17\n")
    stack.up()


@pytest.mark.parametrize(
    ("spoilt", "expected"),
    [
        ("s/^Pull=never$/Pulll=never/", "unknown key Pulll"),
        ("s/^User=10001$/User 10001/", "todo-backend.container:"),
    ],
)
def test_a_unit_that_is_malformed_or_has_an_unknown_key(
    stack: Stack, spoilt: str, expected: str
) -> None:
    before = stack.server_pid()
    with stack.copy_of_checkout() as copy:
        stack.lab.run(["sed", "-i", spoilt, f"{copy}/quadlet/todo-backend.container"])
        done = stack.lab.run(["python3", f"{copy}/build.py", "up", "--no-lab"], check=False)
    line = error_line(done)
    assert expected in line
    assert "todo-backend.container:" in line
    assert done.returncode == 65
    assert before == stack.server_pid()


def test_a_unit_that_the_user_edited_is_left_alone(stack: Stack) -> None:
    unit = ".config/containers/systemd/todo-db.container"
    kept = stack.lab.run(["cat", unit]).stdout
    stack.lab.run(["tee", "-a", unit], stdin="# mine\n")
    try:
        line = error_line(stack.up(check=False))
        assert "was edited" in line
        assert "drop-in" in line
        assert stack.lab.run(["cat", unit]).stdout == kept + "# mine\n"
    finally:
        stack.lab.run(["tee", unit], stdin=kept)


@contextlib.contextmanager
def small_disk(stack: Stack, size: str) -> Iterator[dict[str, str]]:
    """An environment in which Podman's storage and temporary files are on a small disk."""
    disk = "/mnt/small"
    stack.lab.run(["mkdir", "-p", disk], user="root")
    options = f"size={size},uid=1000,gid=1000"
    stack.lab.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", disk], user="root")
    try:
        yield {"XDG_DATA_HOME": disk, "TMPDIR": disk}
    finally:
        stack.lab.run(["umount", "--lazy", disk], user="root")


def test_no_disk_space_for_the_build(stack: Stack) -> None:
    with small_disk(stack, "60m") as env:
        done = stack.lab.run([*BUILD, "image", "--no-lab"], env=env, check=False, timeout_s=300)
        assert "disk space" in error_line(done)
        assert done.returncode == 74
        left = stack.lab.run(["find", "/mnt/small", "-maxdepth", "1", "-name", "todo-build-*"])
        assert left.stdout == ""


def test_no_network_for_the_build(stack: Stack) -> None:
    links = json.loads(stack.lab.run(["ip", "-j", "link"], user="root").stdout)
    uplinks = [link["ifname"] for link in links if link["ifname"] != "lo"]
    before = stack.podman("image", "inspect", "--format={{.Id}}", "localhost/todo-db").stdout
    routes = stack.lab.run(["ip", "route"], user="root").stdout.splitlines()
    for link in uplinks:
        stack.lab.run(["ip", "link", "set", link, "down"], user="root")
    try:
        done = stack.build("image", "--target=db", "--no-cache", "--no-lab", check=False)
        assert "could not reach the network" in error_line(done)
        assert done.returncode == 69
    finally:
        for link in uplinks:
            stack.lab.run(["ip", "link", "set", link, "up"], user="root")
        for route in reversed(routes):
            stack.lab.run(["ip", "route", "replace", *route.split()], user="root", check=False)
    after = stack.podman("image", "inspect", "--format={{.Id}}", "localhost/todo-db").stdout
    assert before == after


@pytest.mark.parametrize("words", [("image", "--no-cache"), ("up",)])
def test_ctrl_c_in_the_middle_leaves_nothing_half_done(
    stack: Stack, words: tuple[str, ...]
) -> None:
    # A new storage has everything to build.
    env = {"XDG_DATA_HOME": "/home/todo/fresh"} if words == ("up",) else {}
    started = subprocess.Popen(
        ["env", "--default-signal=INT", *stack.lab.argv([*BUILD, *words, "--no-lab"], env=env)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    time.sleep(6)
    pid = stack.lab.run(["pgrep", "--oldest", "--full", "build.py .*--no-lab"]).stdout.strip()
    stack.lab.run(["kill", "-s", "INT", pid])
    _, errors = started.communicate(timeout=600)
    assert started.returncode == 128 + signal.SIGINT
    assert "Traceback" not in errors
    assert "interrupted" in errors.splitlines()[-1]
    for program in ("buildah", "mmdebstrap"):
        assert stack.lab.run(["pgrep", "-x", program], check=False).stdout == ""
    left = stack.lab.run(["find", "/var/tmp", "-maxdepth", "1", "-name", "todo-build-*"])  # noqa: S108
    assert left.stdout == ""
    containers = stack.lab.run(["buildah", "containers", "--quiet"], env=env).stdout
    assert containers == ""
    assert stack.ready().status_code == httpx.codes.OK


def test_the_container_without_a_database_address(stack: Stack) -> None:
    run = ("run", "--rm", "--network=none", "--read-only", "localhost/todo-backend:latest")
    done = stack.podman(*run, check=False)
    assert done.returncode == 78
    (line,) = done.stderr.splitlines()
    assert "TODO_DATABASE_URL" in json.loads(line)["message"]


def test_an_unknown_subcommand(stack: Stack) -> None:
    done = stack.build("upp", check=False)
    assert done.returncode == 2
    assert "up" in error_line(done)


def test_uninstalling_volumes_asks_first(stack: Stack) -> None:
    done = stack.build("uninstall", "--volumes", "--no-lab", check=False)
    assert "--yes" in error_line(done)
    assert stack.ready().status_code == httpx.codes.OK


def test_uninstalling_an_edited_unit_is_refused_before_anything_stops(stack: Stack) -> None:
    unit = ".config/containers/systemd/todo-db.container"
    kept = stack.lab.run(["cat", unit]).stdout
    before = stack.server_pid()
    stack.lab.run(["tee", "-a", unit], stdin="# mine\n")
    try:
        line = error_line(stack.build("uninstall", "--no-lab", check=False))
        assert "was edited" in line
        assert f"{unit}.mine" in line
        assert stack.server_pid() == before
        assert stack.ready().status_code == httpx.codes.OK
    finally:
        stack.lab.run(["tee", unit], stdin=kept)


def test_an_uninstallation_says_what_stays_and_leaves_it(stack: Stack) -> None:
    with stack.client("alice") as alice:
        number = alice.post("/api/v1/tasks", json={"title": "Stay"}).json()["id"]
    done = stack.build("uninstall", "--no-lab")
    assert "podman volume rm todo-data todo-socket" in done.stdout
    assert "MB, " in done.stdout
    assert "podman secret rm todo-token-secret" in done.stdout
    assert "localhost/todo-backend:latest" in done.stdout
    assert "loginctl disable-linger todo" in done.stdout
    assert stack.build("uninstall", "--no-lab").stdout.startswith("nothing to remove: ")
    shown = stack.build("status", "--no-lab", check=False)
    assert shown.stdout.endswith("not installed: python3 build.py up starts it\n")
    stack.up()
    with stack.client("alice") as alice:
        assert alice.get(f"/api/v1/tasks/{number}").json()["title"] == "Stay"


def test_hints_in_a_trial_work_from_the_host(stack: Stack) -> None:
    stack.build("down", "--no-lab")
    shown = stack.build("status", "--no-lab", check=False)
    assert shown.stdout.endswith("stopped: python3 build.py up starts it\n")
    trial = {"BUILD_LAB": "second"}
    words = [*BUILD, "token", "alice", "--no-lab"]
    line = error_line(stack.lab.run(words, env=trial, check=False))
    assert "python3 build.py up --lab second" in line
    kept = stack.lab.run(["cat", ".config/systemd/user/todo-backend.socket"]).stdout
    stack.lab.run(["tee", ".config/systemd/user/todo-backend.socket"], stdin="[Socket]\n")
    try:
        line = error_line(stack.lab.run([*BUILD, "uninstall", "--no-lab"], env=trial, check=False))
        assert "python3 build.py lab run second -- mv /home/todo/" in line
    finally:
        stack.lab.run(["tee", ".config/systemd/user/todo-backend.socket"], stdin=kept)
