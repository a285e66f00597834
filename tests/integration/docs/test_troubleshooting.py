"""docs/troubleshooting.md: each line that it shows is produced, here or in a lab, and compared."""

import ast
import contextlib
import dataclasses
import json
import re
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import httpx
import jwt
import pytest

from deploy import process
from deploy.host import doctor, probe
from tests.guides import DOCS, outputs_of, pattern_of
from tests.integration.service import (
    SECRET,
    SOURCES,
    UNSET,
    make_environment,
    open_folder,
    open_service,
    run_admin,
)

PAGE = "troubleshooting.md"
TASKS = "/api/v1/tasks"
NO_DATABASE = {"TODO_DATABASE_URL": "postgresql://todo@/todo?host=/nowhere"}
Produce = Callable[[Path], list[str]]


def last_line(options: Mapping[str, str]) -> str:
    """The message with which the backend ends."""
    with open_folder() as folder:
        done = subprocess.run(
            [sys.executable, "-m", "todo"],
            env=make_environment(folder, options),
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
    message: str = json.loads(done.stderr)["message"]
    return message


def misspelt(_folder: Path) -> list[str]:
    return [last_line({"TODO_LOG_LEVLE": "INFO"})]


def wrong_value(_folder: Path) -> list[str]:
    return [last_line({"TODO_BIND": "8000"})]


def no_address(_folder: Path) -> list[str]:
    return [last_line({"container": "podman", "TODO_DATABASE_URL": UNSET})]


def unreadable_secret(folder: Path) -> list[str]:
    missing = str(folder / "missing")
    options = {"container": "podman", "TODO_TOKEN_SECRET_FILE": missing, **NO_DATABASE}
    return [last_line(options)]


def short_secret(folder: Path) -> list[str]:
    (folder / "short").write_text("12345\n")
    return [last_line({"TODO_TOKEN_SECRET_FILE": str(folder / "short")})]


def taken_address(_folder: Path) -> list[str]:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        return [last_line({"TODO_BIND": address}).replace(address, "127.0.0.1:8000")]


def refuse_token(**claims: object) -> str:
    """Return the log lines of a rejected token."""
    secret = str(claims.pop("secret", SECRET))
    token = jwt.encode({"sub": "alice", **claims}, secret, algorithm="HS256")
    with open_service({}) as service:
        service.wait_ready()
        with service.client(token) as client:
            assert client.get(TASKS).status_code == 401
        return json.dumps(service.wait_for("token refused"))


def not_yet_valid(_folder: Path) -> list[str]:
    now = int(time.time())
    return [refuse_token(iat=now + 3600, exp=now + 7200)]


def other_refusals(_folder: Path) -> list[str]:
    now = int(time.time())
    return [
        refuse_token(exp=now - 3600),
        refuse_token(exp=now + 3600, secret=SECRET[::-1]),
    ]


def answer(
    ask: Callable[[httpx.Client], httpx.Response], options: Mapping[str, str] | None = None
) -> str:
    with open_service(options or {}) as service:
        service.wait_for("listening")
        with service.client(service.token()) as client:
            return ask(client).text


def large_body(_folder: Path) -> list[str]:
    return [answer(lambda client: client.post(TASKS, content=b" " * (1024 * 1024 + 1)))]


def large_header(_folder: Path) -> list[str]:
    return [answer(lambda client: client.get(TASKS, headers={"Cookie": "c" * 100_000}))]


def many_requests(_folder: Path) -> list[str]:
    def ask(client: httpx.Client) -> httpx.Response:
        client.get(TASKS)
        return client.get(TASKS)

    return [answer(ask, {"TODO_RATE_LIMIT_PER_MINUTE": "1"})]


def no_database(_folder: Path) -> list[str]:
    with open_service(NO_DATABASE) as service:
        service.wait_for("listening")
        with service.client(service.token()) as client:
            body = client.get(TASKS).text
        return [body, service.wait_for("the database is not available")["message"]]


def other_schema(folder: Path) -> list[str]:
    file = folder / "todo.db"
    options = {"TODO_DATABASE_URL": f"sqlite:///{file}", "TODO_DATABASE_MIGRATE": "never"}
    older = answer(lambda client: client.get("/readyz"), options)
    environment = make_environment(folder, options)
    assert run_admin(environment, "migrate").returncode == 0
    with contextlib.closing(sqlite3.connect(file)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
        connection.execute("UPDATE schema_compatibility SET oldest_program = '9999'")
        connection.commit()
    return [older, run_admin(environment, "migrate").stderr]


def no_database_for_commands(folder: Path) -> list[str]:
    return [run_admin(make_environment(folder, NO_DATABASE), "migrate").stderr]


def as_shown(error: process.ToolError) -> str:
    return f"build.py: error: {error}"


def no_network(_folder: Path) -> list[str]:
    with pytest.raises(process.ToolError) as caught:
        process.run(["curl", "--silent", "--show-error", "http://nowhere.invalid/"])
    return [as_shown(caught.value)]


def no_space(_folder: Path) -> list[str]:
    with pytest.raises(process.ToolError) as caught:
        process.run(["dd", "if=/dev/zero", "of=/dev/full", "count=1"])
    return [as_shown(caught.value)]


def unfit_machine(_folder: Path) -> list[str]:
    found = dataclasses.replace(
        probe.probe(), root=False, user="alice", user_manager="", subordinate_ids=False
    )
    poor = dataclasses.replace(found, controllers=None)
    strict = dataclasses.replace(found, controllers=frozenset())
    tables = [doctor.render_table(doctor.diagnose(each)) for each in (poor, strict)]
    return [tables[0], tables[0], tables[0], tables[1]]


HERE: dict[str, Produce] = {
    "The machine cannot run the stack": unfit_machine,
    "No network for the build": no_network,
    "No disk space for the build": no_space,
    "A misspelled option": misspelt,
    "A wrong value": wrong_value,
    "No database address": no_address,
    "The token secret cannot be read": unreadable_secret,
    "The token secret is too short": short_secret,
    "The address is taken": taken_address,
    "401, token not yet valid": not_yet_valid,
    "401, token refused for another reason": other_refusals,
    "413, the body is too large": large_body,
    "429, too many requests": many_requests,
    "431, the header is too large": large_header,
    "503, the database cannot be reached": no_database,
    "503, another schema": other_schema,
    "Commands cannot reach the database": no_database_for_commands,
}
# What other tests produce, because it takes a real systemd and Podman, or a database without room.
ELSEWHERE = {
    "The port is taken": "system/test_errors.py::test_a_port_that_is_taken",
    "A unit did not start": "system/test_errors.py::test_a_token_secret_that_is_too_short",
    "A unit was edited": "system/test_errors.py::test_a_unit_that_the_user_edited_is_left_alone",
    "503, the database is full": "integration/db/test_faults.py::"
    "test_a_file_without_room_lets_readers_read",
}
# Seen in a lab without polkit, where a user may not even ask.
BY_HAND = {"No permission to run without a login"}
# Lines of systemd, Podman and Quadlet: tests/system/test_docs_troubleshooting.py.
IN_A_LAB = {"Quadlet rejects a drop-in", "An image is missing", "Too many starts"}


@pytest.mark.longer(600)
@pytest.mark.parametrize("heading", HERE)
def test_the_failure_prints_the_line(heading: str, tmp_path: Path) -> None:
    shown = outputs_of(PAGE)[heading]

    for expected, produced in zip(shown, HERE[heading](tmp_path), strict=True):
        assert re.search(pattern_of(expected), produced, re.DOTALL), (
            f"the page shows:\n{expected}\nand it was:\n{produced}"
        )


def test_every_entry_is_produced_somewhere() -> None:
    assert set(outputs_of(PAGE)) == {*HERE, *ELSEWHERE, *BY_HAND, *IN_A_LAB}
    for place in ELSEWHERE.values():
        file, _, test = place.partition("::")
        assert f"def {test}(" in (DOCS.parent / "tests" / file).read_text()


def texts_of_the_program() -> Iterator[str]:
    """Every string in the sources; of those with values in them, the parts between."""
    for file in SOURCES.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value


@pytest.mark.parametrize("heading", [*ELSEWHERE, *BY_HAND])
def test_a_line_that_is_not_produced_here_is_in_the_program(heading: str) -> None:
    program = "\n".join(texts_of_the_program())
    values = r"…|\d+|127\.0\.0\.1|todo-backend\.\w+|\"code\": "

    for shown in outputs_of(PAGE)[heading]:
        for part in re.split(values, shown.strip().removeprefix("build.py: error: ")):
            text = part.strip().strip('"')
            assert text in program, f"not in the sources any more: {text!r}"
