"""The stack under the real systemd and Podman: it serves, and it is shut in."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import httpx
import pytest

if TYPE_CHECKING:
    from tests.system.stack_in_lab import Stack

BACKEND_UID = 10001
DB_UID = 10002


def test_a_task_is_created_listed_completed_and_deleted(stack: Stack) -> None:
    with stack.client("alice") as alice:
        created = alice.post("/api/v1/tasks", json={"title": "buy milk"})
        assert created.status_code == httpx.codes.CREATED
        task = created.json()
        listed = alice.get("/api/v1/tasks").json()["items"]
        assert task["id"] in [item["id"] for item in listed]
        completed = alice.post(f"/api/v1/tasks/{task['id']}/complete")
        assert completed.json()["is_completed"] is True
        assert alice.delete(f"/api/v1/tasks/{task['id']}").status_code == httpx.codes.NO_CONTENT
        assert alice.get(f"/api/v1/tasks/{task['id']}").status_code == httpx.codes.NOT_FOUND


def test_words_of_any_script_are_found_without_regard_to_case(stack: Stack) -> None:
    with stack.client("carol") as carol:
        carol.post("/api/v1/tasks", json={"title": "Письмо в МИР, “Übung”"})
        for word in ("мир", "übung", "ÜB"):
            found = carol.get("/api/v1/tasks", params={"q": word}).json()["items"]
            assert [task["title"] for task in found] == ["Письмо в МИР, “Übung”"], word


def test_another_user_sees_nothing_of_it(stack: Stack) -> None:
    with stack.client("alice") as alice, stack.client("bob") as bob:
        task = alice.post("/api/v1/tasks", json={"title": "secret"}).json()
        assert bob.get(f"/api/v1/tasks/{task['id']}").status_code == httpx.codes.NOT_FOUND
        assert bob.get("/api/v1/tasks").json()["items"] == []


def test_metrics_are_on_the_management_socket_alone(stack: Stack) -> None:
    public = httpx.get(f"http://127.0.0.1:{stack.port}/metrics")
    management = httpx.get(f"http://127.0.0.1:{stack.management_port}/metrics")
    assert public.status_code == httpx.codes.NOT_FOUND
    assert management.status_code == httpx.codes.OK
    assert "# TYPE" in management.text


@pytest.mark.parametrize(("container", "uid"), [("todo-backend", BACKEND_UID), ("todo-db", DB_UID)])
def test_every_process_runs_as_its_own_user_without_any_capability(
    stack: Stack, container: str, uid: int
) -> None:
    pid = stack.inspect(container)["State"]["Pid"]
    inside = ["podman", "unshare", "cat", f"/proc/{pid}/status"]
    fields = dict(
        line.split(":\t", 1) for line in stack.lab.run(inside).stdout.splitlines() if ":\t" in line
    )
    assert [str(uid)] * 4 == fields["Uid"].split()
    assert [str(uid)] * 4 == fields["Gid"].split()
    none = "0" * 16
    capabilities = {name: fields[name] for name in ("CapInh", "CapPrm", "CapEff", "CapBnd")}
    assert dict.fromkeys(capabilities, none) == capabilities
    assert fields["NoNewPrivs"] == "1"


_WRITABLE = """
import os, json
writable = []
for folder, names, files in os.walk("/", onerror=lambda error: None):
    if folder in ("/proc", "/sys"):
        names.clear()
        continue
    probe = os.path.join(folder, ".probe")
    try:
        os.close(os.open(probe, os.O_CREAT | os.O_WRONLY))
        os.unlink(probe)
        writable.append(folder)
    except OSError:
        pass
print(json.dumps(writable))
"""


def test_the_backend_can_write_nowhere_but_its_tmpfs(stack: Stack) -> None:
    assert json.loads(stack.in_container(_WRITABLE)) == ["/tmp"]  # noqa: S108


def test_the_tmpfs_has_a_size_and_runs_nothing(stack: Stack) -> None:
    mounts = stack.in_container("print(open('/proc/mounts').read())").splitlines()
    (tmp,) = [line.split()[3].split(",") for line in mounts if line.split()[1] == "/tmp"]  # noqa: S108
    assert {"size=16384k", "noexec", "nosuid", "nodev"} <= set(tmp)


@pytest.mark.parametrize("container", ["todo-backend", "todo-db"])
def test_no_container_has_a_network(stack: Stack, container: str) -> None:
    pid = stack.inspect(container)["State"]["Pid"]
    shown = stack.lab.run(["nsenter", f"--target={pid}", "--net", "ip", "-j", "addr"], user="root")
    names = [interface["ifname"] for interface in json.loads(shown.stdout)]
    assert names == ["lo"]


def test_the_backend_image_has_no_shell(stack: Stack) -> None:
    assert stack.podman("exec", "todo-backend", "/bin/sh", "-c", "true", check=False).returncode


def test_the_database_is_not_reachable_over_tcp(stack: Stack) -> None:
    program = "import socket\nprint(socket.socket().connect_ex(('127.0.0.1', 5432)))"
    assert stack.in_container(program) == "111"


def test_the_token_secret_is_readable_by_the_backend_alone(stack: Stack) -> None:
    program = (
        "import os\ns = os.stat('/run/secrets/todo-token-secret')\n"
        "print(s.st_uid, s.st_gid, oct(s.st_mode & 0o777))"
    )
    assert stack.in_container(program) == f"{BACKEND_UID} {BACKEND_UID} 0o400"
    environment = stack.inspect("todo-backend")["Config"]["Env"]
    assert not [line for line in environment if "SECRET=" in line]


def test_logs_are_one_json_object_a_line_with_the_request_id(stack: Stack) -> None:
    with stack.client("alice") as alice:
        answer = alice.get("/api/v1/tasks", headers={"X-Request-ID": "trace-me-4711"})
    assert answer.headers["x-request-id"] == "trace-me-4711"
    logs = stack.lab.run(
        ["journalctl", "--user", "--output=cat", "CONTAINER_NAME=todo-backend", "--lines=200"]
    ).stdout
    lines = [json.loads(line) for line in logs.splitlines() if line.startswith("{")]
    mine = [line for line in lines if line.get("request_id") == "trace-me-4711"]
    statuses = [line["status"] for line in mine]
    assert statuses == [200]
    assert "eyJ" not in logs  # no token


def test_the_network_dropin_gives_the_backend_a_network(stack: Stack) -> None:
    folder = ".config/containers/systemd/todo-backend.container.d"
    source = "/srv/todo-backend/quadlet/dropins/todo-backend.container.d/50-network.conf"
    stack.lab.run(["mkdir", "-p", folder])
    stack.lab.run(["cp", source, folder])
    try:
        stack.systemctl("daemon-reload")
        stack.systemctl("restart", "todo-backend")
        stack.wait_ready()
        pid = stack.inspect("todo-backend")["State"]["Pid"]
        enter = ["nsenter", f"--target={pid}", "--net", "ip", "-j", "addr"]
        shown = json.loads(stack.lab.run(enter, user="root").stdout)
        assert len(shown) == 2
        with stack.client("alice") as alice:
            assert alice.get("/api/v1/tasks").status_code == httpx.codes.OK
    finally:
        stack.lab.run(["rm", "-r", folder])
        stack.systemctl("daemon-reload")
        stack.systemctl("restart", "todo-backend")


def test_status_says_what_runs(stack: Stack) -> None:
    shown = json.loads(stack.build("status", "--json", "--no-lab").stdout)
    assert shown["ready"] is True
    assert shown["url"] == "http://127.0.0.1:8000"
    assert {"active"} == {unit["active"] for unit in shown["units"]}


def test_a_second_up_changes_nothing(stack: Stack) -> None:
    before = stack.server_pid()
    stack.up()
    assert before == stack.server_pid()


def test_generated_manifest_is_current(stack: Stack) -> None:
    assert stack.build("kube", "--check").returncode == 0
