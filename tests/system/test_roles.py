"""The database image: two roles, of which the backend's cannot change what was recorded."""

from __future__ import annotations

import json
import secrets
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from deploy.process import Completed
    from tests.system.stack_in_lab import Stack

_EXECUTE = """
import sys, psycopg
with psycopg.connect(f"host=/run/todo dbname={sys.argv[1]} user={sys.argv[2]}") as connection:
    cursor = connection.execute(sys.argv[3])
    print(cursor.fetchall() if cursor.description else cursor.statusmessage)
"""
_DENIED = "psycopg.errors.InsufficientPrivilege: permission denied"


def execute(stack: Stack, statement: str, *, name: str = "todo", role: str = "todo") -> Completed:
    """Run a statement out of the backend's container."""
    program = ["/usr/bin/python3", "-c", _EXECUTE, name, role, statement]
    return stack.podman("exec", "todo-backend", *program, check=False)


def as_superuser(stack: Stack, *statements: str) -> str:
    commands = [f"--command={statement}" for statement in statements]
    words = ["psql", "--host=/run/todo", "--dbname=todo", "--tuples-only", "--no-align"]
    return stack.podman("exec", "todo-db", *words, *commands).stdout.strip()


def verify(stack: Stack) -> None:
    stack.podman("exec", "todo-backend", "/usr/bin/python3", "-m", "todo.admin", "verify")


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE journal SET after = NULL",
        "DELETE FROM journal",
        "TRUNCATE journal",
        "CREATE TABLE other (x int)",
    ],
)
def test_the_backends_role_cannot_change_the_journal(stack: Stack, statement: str) -> None:
    with stack.client("alice") as alice:
        alice.post("/api/v1/tasks", json={"title": "kept"}).raise_for_status()
    refused = execute(stack, statement)
    assert refused.returncode != 0
    assert _DENIED in refused.stderr
    assert execute(stack, "SELECT count(*) > 0 FROM journal").stdout.strip() == "[(True,)]"


@pytest.mark.parametrize(("name", "role"), [("todo", "todo_owner"), ("todo", "postgres")])
def test_the_backend_becomes_no_other_role(stack: Stack, name: str, role: str) -> None:
    refused = execute(stack, "SELECT 1", name=name, role=role)
    assert "Peer authentication failed" in refused.stderr


def test_the_backend_reaches_no_other_database(stack: Stack) -> None:
    refused = execute(stack, "SELECT 1", name="postgres")
    assert "no pg_hba.conf entry" in refused.stderr


def test_an_account_that_is_deleted_loses_the_content_of_its_journal(stack: Stack) -> None:
    with stack.client("leaver") as leaver:
        leaver.post("/api/v1/tasks", json={"title": "gone"}).raise_for_status()
        leaver.delete("/api/v1/me").raise_for_status()
    left = "SELECT count(after) FROM journal WHERE owner = 'leaver'"
    assert execute(stack, left).stdout.strip() == "[(0,)]"
    verify(stack)


def test_the_settings_of_the_server_are_the_images(stack: Stack) -> None:
    settings = {
        name: as_superuser(stack, f"SHOW {name}")
        for name in ("allow_alter_system", "temp_file_limit", "unix_socket_permissions")
    }
    assert settings == {
        "allow_alter_system": "off",
        "temp_file_limit": "256MB",
        "unix_socket_permissions": "0770",
    }
    limits = "SELECT rolname, rolconnlimit FROM pg_roles WHERE rolname LIKE 'todo%' ORDER BY 1"
    assert as_superuser(stack, limits) == "todo|50\ntodo_backup|4\ntodo_owner|5"


def test_the_socket_is_open_to_the_clients_group_only(stack: Stack) -> None:
    program = (
        "import json, os\ns = os.stat('/run/todo/.s.PGSQL.5432')\n"
        "print(json.dumps([s.st_uid, s.st_gid, oct(s.st_mode & 0o777)]))"
    )
    assert json.loads(stack.in_container(program)) == [10002, 10001, "0o770"]


def test_a_volume_from_before_there_were_two_roles_is_taken_over(stack: Stack) -> None:
    user = f"veteran-{secrets.token_hex(4)}"
    with stack.client(user) as veteran:
        veteran.post("/api/v1/tasks", json={"title": "old"}).raise_for_status()
    as_superuser(
        stack,
        "ALTER DATABASE todo OWNER TO todo",
        "REASSIGN OWNED BY todo_owner TO todo",
        "DROP OWNED BY todo_owner",
        "DROP ROLE todo_owner",
        "ALTER ROLE todo CONNECTION LIMIT -1",
    )
    stack.podman("exec", "todo-db", "rm", "/var/lib/postgresql/data/todo-roles")
    assert "UPDATE" in execute(stack, "UPDATE journal SET hash = hash").stdout

    stack.systemctl("restart", "todo-db")
    stack.systemctl("restart", "todo-migrate")

    assert _DENIED in execute(stack, "UPDATE journal SET hash = hash").stderr
    owners = (
        "SELECT relowner::regrole FROM pg_class WHERE relname IN ('task', 'journal')"
        " UNION SELECT proowner::regrole FROM pg_proc WHERE proname = 'erase_journal'"
    )
    assert as_superuser(stack, owners) == "todo_owner"
    stack.wait_ready()
    with stack.client(user) as veteran:
        titles = [task["title"] for task in veteran.get("/api/v1/tasks").json()["items"]]
        assert titles == ["old"]
        veteran.post("/api/v1/tasks", json={"title": "new"}).raise_for_status()
    verify(stack)


def read_status(stack: Stack, container: str, file: str) -> str:
    pid = stack.inspect(container)["State"]["Pid"]
    return stack.lab.run(["podman", "unshare", "cat", f"/proc/{pid}/{file}"]).stdout


@pytest.mark.parametrize(("container", "files"), [("todo-backend", 4096), ("todo-db", 2048)])
def test_a_container_dumps_no_core_and_opens_a_limited_number_of_files(
    stack: Stack, container: str, files: int
) -> None:
    limits = {
        line[:26].strip(): line[26:].split()[:2]
        for line in read_status(stack, container, "limits").splitlines()
    }
    assert limits["Max core file size"] == ["0", "0"]
    assert limits["Max open files"] == [str(files)] * 2


def test_the_database_is_ended_last_where_memory_is_short(stack: Stack) -> None:
    scores = [
        int(read_status(stack, name, "oom_score_adj")) for name in ("todo-db", "todo-backend")
    ]
    assert scores == [200, 500]


def test_no_memory_goes_to_a_swap_device(stack: Stack) -> None:
    for unit in ("todo-db", "todo-backend", "todo-migrate"):
        assert stack.show(f"{unit}.service", "MemorySwapMax") == "0"


def test_the_database_image_has_no_more_programs_than_it_needs(stack: Stack) -> None:
    for program in ("busybox", "ls", "cat", "wget"):
        assert stack.podman("exec", "todo-db", program, check=False).returncode != 0
