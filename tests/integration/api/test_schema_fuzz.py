"""The running service is held to its own OpenAPI document by schemathesis, with all its checks.

A short run each time; a longer one with `FUZZ_SECONDS=600`.
"""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.integration.api.schemathesis_hooks import is_valid_once_counted
from tests.integration.service import Service, open_service

if TYPE_CHECKING:
    from tests.integration.cluster import Cluster

SECONDS = int(os.environ.get("FUZZ_SECONDS", "20"))
CONFIGURATION = Path(__file__).with_name("schemathesis.toml")
HOOKS = Path(__file__).with_name("schemathesis_hooks.py")


@pytest.fixture(params=["sqlite", "postgres"])
def served(request: pytest.FixtureRequest) -> Iterator[tuple[Service, str]]:
    """A service of its own, because the requests delete everything; and its URL."""
    options = {
        "TODO_DATABASE_MIGRATE": "startup",
        "TODO_RATE_LIMIT_PER_MINUTE": "0",
        "TODO_RATE_LIMIT_ADDRESS_PER_MINUTE": "0",
    }
    if request.param == "postgres":
        cluster: Cluster = request.getfixturevalue("cluster")
        options["TODO_DATABASE_URL"] = cluster.make_database()
    with (
        socket.create_server(("127.0.0.1", 0)) as public,
        open_service(options, inherited=[public]) as service,
    ):
        service.wait_ready()
        yield service, f"http://127.0.0.1:{public.getsockname()[1]}"


@pytest.mark.longer(SECONDS)
def test_no_answer_is_other_than_its_description_says(served: tuple[Service, str]) -> None:
    service, address = served
    program = Path(sys.executable).with_name("schemathesis")
    # fmt: off
    command: list[str | Path] = [
        program, "--config-file", CONFIGURATION, "run", f"{address}/openapi.json",
        "--header", f"Authorization: Bearer {service.token('alice', lifetime_s=SECONDS + 600)}",
        "--max-time", str(SECONDS),
        "--no-shrink",
        "--no-color",
    ]
    # fmt: on
    with (service.folder / "fuzz.log").open("w+b") as log:
        code = subprocess.run(
            command,
            cwd=service.folder,
            env=os.environ | {"SCHEMATHESIS_HOOKS": str(HOOKS)},
            stdout=log,
            stderr=log,
            check=False,
        ).returncode
        log.seek(0)
        told = log.read().decode()

    assert code == 0, told[-8000:]
    assert "passed" in told
    worst = [each for each in service.events if each["level"] in {"ERROR", "CRITICAL"}]
    assert [*worst, *(each for each in service.events if each.get("status", 0) >= 500)] == []
    assert service.errors == ""


@pytest.mark.parametrize(
    ("name", "accepted"),
    [
        ("\f" + "x" * 100, True),
        ("e\u0301" * 100, True),
        (" " + "x" * 101, False),
        ("x" * 101, False),
        ("  ", False),
    ],
)
def test_only_texts_that_fit_once_counted_are_let_through(name: str, *, accepted: bool) -> None:
    schema = {
        "type": "object",
        "properties": {"name": {"$ref": "#/components/schemas/Name"}},
        "additionalProperties": False,
    }
    body = {"content": {"application/json": {"schema": schema}}}
    document = {
        "paths": {"/api/v1/lists": {"post": {"requestBody": body}}},
        "components": {"schemas": {"Name": {"type": "string", "minLength": 1, "maxLength": 100}}},
    }

    assert is_valid_once_counted(document, "/api/v1/lists", "post", {"name": name}) is accepted
    assert not is_valid_once_counted(
        document, "/api/v1/lists", "post", {"name": name, "unknown": 1}
    )
