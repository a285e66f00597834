"""Status, log and diagnose on a real stack: healthy, broken, and from cron."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import httpx

from deploy.lab import rootfs
from tests.system.stack_in_lab import BUILD, wait_until

if TYPE_CHECKING:
    from tests.system.stack_in_lab import Stack

PASSWORD = "pa55-of-the-test"  # noqa: S105
CACHE = {"XDG_CACHE_HOME": rootfs.CACHE}
BARE = ("env", "-u", "XDG_RUNTIME_DIR", "-u", "DBUS_SESSION_BUS_ADDRESS")


def status(stack: Stack) -> dict[str, Any]:
    found = json.loads(stack.build("status", "--json", "--no-lab", check=False).stdout)
    assert isinstance(found, dict)
    return found


def test_status_has_every_part_of_a_stack_that_serves(stack: Stack) -> None:
    found = status(stack)

    assert found["unknown"] == {}
    assert found["linger"] is True
    assert all(unit["since"] for unit in found["units"])
    (instance,) = found["instances"]
    figures = instance["figures"]
    assert figures["database_schema"] == figures["schema"]
    assert figures["breakers"]["database"] == "closed"
    assert {"localhost/todo-backend:latest", "localhost/todo-db:latest"} == {
        image["name"] for image in found["images"] if image["id"] and image["built_at"]
    }
    assert 0 < found["disks"][0]["free_bytes"] < found["disks"][0]["total_bytes"]


def test_a_stopped_database_is_what_status_says(stack: Stack) -> None:
    stack.systemctl("stop", "todo-db")
    wait_until(lambda: not status(stack)["ready"], 300, "not ready")
    found = status(stack)

    assert found["instances"][0]["figures"]["database_schema"]
    shown = stack.build("status", "--no-lab", check=False)
    assert shown.returncode == 3
    rows = [line.split()[:3] for line in shown.stdout.splitlines()]
    assert ["todo-db.service", "inactive", "(dead)"] in rows
    assert "not ready: " in shown.stdout.splitlines()[-2]


def test_a_backend_that_cannot_start_has_its_error_in_status_and_log(stack: Stack) -> None:
    with stack.drop_in("todo-backend.container", "[Container]\nEnvironment=TODO_LOG_LEVEL=loud\n"):
        stack.systemctl("restart", "todo-backend", check=False)
        found = status(stack)
        assert found["ready"] is False
        assert found["instances"][0]["figures"] is None
        assert any("TODO_LOG_LEVEL" in line["message"] for line in found["errors"]["latest"])
        errors = stack.build("logs", "backend", "--errors", "--lines=3", "--no-lab").stdout
        assert "TODO_LOG_LEVEL" in errors
        archive = stack.build("diagnose", "--output=broken.tar.gz", "--no-lab").stdout
        assert "status.json" in archive


def test_the_lines_of_one_request_are_found_by_its_id(stack: Stack) -> None:
    with stack.client("alice") as alice:
        answer = alice.get("/api/v1/tasks/0198f3c2-0000-7000-8000-000000000000")
        assert answer.status_code == httpx.codes.NOT_FOUND
        request = answer.headers["X-Request-Id"]
        alice.get("/api/v1/tasks").raise_for_status()

    def find() -> list[str]:
        words = ("logs", f"--request={request}", "--since=1 hour ago", "--json", "--no-lab")
        return stack.build(*words).stdout.splitlines()

    wait_until(lambda: bool(find()), 300, "the line is in the journal")
    (line,) = find()
    assert json.loads(line)["status"] == httpx.codes.NOT_FOUND
    refused = stack.build("logs", "--since=noon-ish", "--no-lab", check=False)
    assert (refused.returncode, "noon-ish is not a valid time" in refused.stderr) == (
        2,
        True,
    )


def test_the_archive_of_a_real_stack_holds_no_secret(stack: Stack) -> None:
    text = (
        f"# Environment=TODO_AI_KEY={PASSWORD}-former\n[Container]\n"
        f"Environment=MODEL_TOKEN={PASSWORD} OTEL_TOKEN={PASSWORD}-2\n"
    )
    secret = stack.podman(
        *("secret", "inspect", "--showsecret", "--format={{.SecretData}}", "todo-token-secret")
    ).stdout.strip()
    with stack.drop_in("todo-backend.container", text):
        stack.systemctl("restart", "todo-backend")
        stack.build("diagnose", "--output=report.tar.gz", "--no-lab")
    stack.systemctl("restart", "todo-backend")
    listed = stack.lab.run(["tar", "-tvzf", "report.tar.gz"]).stdout
    assert "-rw-------" in listed
    assert "90-test.conf" in listed
    shown = stack.lab.run(["tar", "-xOzf", "report.tar.gz"]).stdout
    assert "MODEL_TOKEN=***" in shown
    assert PASSWORD not in shown
    assert secret not in shown
    mode = stack.lab.run(["stat", "--format=%a", "report.tar.gz"]).stdout.strip()
    assert mode == "600"


def test_commands_work_where_no_login_has_set_the_variables(stack: Stack) -> None:
    shown = stack.lab.run([*BARE, *BUILD, "status", "--json", "--no-lab"])
    assert json.loads(shown.stdout)["ready"] is True
    as_root = stack.lab.run([*BUILD, "status"], user="root", check=False, env=CACHE)
    assert "this is root, and the stack belongs to todo" in as_root.stderr
    assert f"sudo -u todo python3 {BUILD[1]} status" in as_root.stderr
    # As sudo does, which a lab lacks, in a folder that the user cannot enter.
    become = ["runuser", "-u", "todo", "--", "env", "HOME=/home/todo"]
    shown = stack.lab.run([*become, *BUILD, "status", "--json"], user="root", env=CACHE)
    assert json.loads(shown.stdout)["user"] == "todo"
