"""The manifest that is compiled from the units, played by the real Podman."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest

from tests.system.stack_in_lab import BUILD, Stack, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from deploy.process import Completed

_MANIFEST = "/srv/todo-backend/kube/todo.yaml"
_SECRET = "todo-secret.yaml"  # noqa: S105 - a file's name
PUBLISH = ("--publish=127.0.0.1:8000:8000", "--publish=127.0.0.1:9000:9000")
_BACKEND = "todo-pod-backend"
_DB = "todo-pod-db"
_MIGRATE = "todo-pod-migrate"


def kube(machine: Stack, *words: str, check: bool = True) -> Completed:
    argv = ["podman", "kube", *words]
    return machine.lab.run(argv, env=machine.lab.kube_env, check=check, timeout_s=300)


@pytest.fixture(scope="module")
def played(installed: Stack) -> Iterator[Stack]:
    """The pod in place of the units, on the same ports."""
    installed.build("down", "--no-lab")
    installed.build("kube", f"--secret={_SECRET}")
    kube(installed, "play", _SECRET)
    kube(installed, "play", *PUBLISH, _MANIFEST)
    try:
        installed.wait_ready()
        yield installed
    finally:
        kube(installed, "down", "--force", _MANIFEST, check=False)
        kube(installed, "down", _SECRET, check=False)
        installed.lab.run(["rm", "-f", _SECRET])
        installed.up()


def client(machine: Stack, subject: str) -> httpx.Client:
    admin = ["/usr/bin/python3", "-m", "todo.admin", "token", "--subject", subject]
    token = machine.podman("exec", _BACKEND, *admin).stdout.strip()
    return httpx.Client(
        base_url=f"http://127.0.0.1:{machine.port}",
        headers={"Authorization": f"Bearer {token}"},
        timeout=120,
    )


def test_a_task_is_created_listed_and_completed(played: Stack) -> None:
    with client(played, "alice") as alice:
        task = alice.post("/api/v1/tasks", json={"title": "in a pod"}).raise_for_status().json()
        listed = alice.get("/api/v1/tasks").json()["items"]
        assert task["id"] in [item["id"] for item in listed]
        completed = alice.post(f"/api/v1/tasks/{task['id']}/complete")
        assert completed.json()["is_completed"] is True


@pytest.mark.parametrize(("container", "uid"), [(_BACKEND, 10001), (_DB, 10002), (_MIGRATE, 10004)])
def test_every_process_runs_as_its_own_user_without_any_capability(
    played: Stack, container: str, uid: int
) -> None:
    pid = played.inspect(container)["State"]["Pid"]
    status = played.lab.run(["podman", "unshare", "cat", f"/proc/{pid}/status"]).stdout
    fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert fields["Uid"].split() == [str(uid)] * 4
    capabilities = {fields[name] for name in ("CapInh", "CapPrm", "CapEff", "CapBnd")}
    assert capabilities == {"0" * 16}
    assert fields["NoNewPrivs"] == "1"


def test_the_root_file_system_is_read_only(played: Stack) -> None:
    # Podman adds a tmpfs of its own on /var/tmp there, whatever the manifest says.
    program = (
        "import os\n"
        "for folder in ('/', '/etc', '/opt/todo', '/run', '/run/todo', '/dev/shm'):\n"
        "    try:\n"
        "        os.close(os.open(folder + '/.probe', os.O_CREAT | os.O_WRONLY))\n"
        "        print(folder)\n"
        "    except OSError:\n"
        "        pass\n"
    )
    assert played.in_container(program, _BACKEND) == ""


def test_the_secret_is_no_environment_variable(played: Stack) -> None:
    for line in played.inspect(_BACKEND)["Config"]["Env"]:
        assert not line.startswith("TODO_TOKEN_SECRET=")


def test_a_killed_server_comes_back_with_its_data(played: Stack) -> None:
    with client(played, "alice") as alice:
        task = alice.post("/api/v1/tasks", json={"title": "survivor"}).raise_for_status().json()
        before = played.inspect(_BACKEND)["State"]["Pid"]
        played.lab.run(["kill", "-s", "KILL", str(before)], user="root")

        def replaced() -> bool:
            now = played.inspect(_BACKEND)["State"]["Pid"]
            return now not in (0, before) and played.ready().is_success

        wait_until(replaced, 300, "served by a new process")
        assert alice.get(f"/api/v1/tasks/{task['id']}").json()["title"] == "survivor"


def test_a_hanging_server_is_replaced(played: Stack) -> None:
    def healthy() -> bool:
        return bool(played.inspect(_BACKEND)["State"]["Health"]["Status"] == "healthy")

    # Until the startup probe has passed, a failing one is given the time that a start may take.
    wait_until(healthy, 300, "healthy")
    before = played.inspect(_BACKEND)["State"]["Pid"]
    played.lab.run(["kill", "-s", "STOP", str(before)], user="root")

    def replaced() -> bool:
        now = played.inspect(_BACKEND)["State"]["Pid"]
        return now not in (0, before) and played.ready().is_success

    # Podman stops it kindly first, and waits as long as the pod's grace period.
    wait_until(replaced, 300, "served by a new process")


def test_a_stopped_database_means_503_then_recovery(played: Stack) -> None:
    with client(played, "alice") as alice:
        played.podman("stop", _DB)
        answer = alice.get("/api/v1/tasks")
        assert answer.status_code == httpx.codes.SERVICE_UNAVAILABLE
        assert int(answer.headers["retry-after"]) > 0
        played.podman("start", _DB)
        wait_until(lambda: alice.get("/api/v1/tasks").is_success, 300, "recovered")


def test_the_data_outlives_the_pod(played: Stack) -> None:
    with client(played, "keeper") as keeper:
        keeper.post("/api/v1/tasks", json={"title": "kept"}).raise_for_status()
    kube(played, "down", _MANIFEST)
    kube(played, "play", *PUBLISH, _MANIFEST)
    played.wait_ready()
    with client(played, "keeper") as keeper:
        titles = [task["title"] for task in keeper.get("/api/v1/tasks").json()["items"]]
    assert titles == ["kept"]


def test_a_stale_manifest_fails_the_check(installed: Stack) -> None:
    with installed.copy_of_checkout() as copy:
        changed = "s/^MemoryMax=256M$/MemoryMax=250M/"
        installed.lab.run(["sed", "-i", changed, f"{copy}/quadlet/todo-backend.container"])
        done = installed.lab.run(["python3", f"{copy}/build.py", "kube", "--check"], check=False)
    assert done.returncode != 0
    assert "kube/todo.yaml is out of date with quadlet/" in done.stderr
    assert "250Mi" in done.stdout + done.stderr
    assert installed.lab.run([*BUILD, "kube", "--check"]).returncode == 0
