"""Clients that others wrote: the Inspector and the official SDK, in both eras, HTTP and stdio."""

import json
import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy.bootstrap import venv
from tests.integration.mcp.conformance_server import RARE_TOOL, open_fixtures
from tests.integration.mcp.loopback import make_front, open_loopback
from tests.integration.mcp.npm_programs import INSPECTOR, run_program
from tests.integration.service import SOURCES, Service

BRIDGE = [sys.executable, str(SOURCES / "todo/mcp/__main__.py")]
PROBE = Path(__file__).with_name("sdk_client.py")
STRICT = ["--method", "tools/list", "--strict", "--format", "json", "--quiet"]
ERAS = ("legacy", "modern")
VERSIONS = {"legacy": "2025-11-25", "auto": "2026-07-28"}


@pytest.fixture(scope="module")
def plain_front(sqlite_service: Service) -> Iterator[str]:
    """Address of a front of the service that adds no token."""
    with open_loopback(make_front(sqlite_service)) as address:
        yield address


@pytest.fixture(scope="module")
def bridge(plain_front: str, token: str) -> dict[str, str]:
    """The environment of the bridge."""
    return {"TODO_URL": plain_front, "TODO_TOKEN": token}


@pytest.mark.parametrize("era", ERAS)
def test_the_inspector_finds_portable_schemas_over_http(
    plain_front: str, token: str, era: str, tmp_path: Path
) -> None:
    # fmt: off
    result = run_program(
        INSPECTOR, "--cli", f"{plain_front}/mcp", "--transport", "http", "--protocol-era", era,
        "--header", f"Authorization: Bearer {token}", *STRICT, home=tmp_path,
    )
    # fmt: on

    assert (result.returncode, result.stderr) == (0, "")
    assert "add_tasks" in [tool["name"] for tool in json.loads(result.stdout)["result"]["tools"]]


@pytest.mark.parametrize("era", ERAS)
def test_the_inspector_finds_portable_schemas_through_the_bridge(
    bridge: dict[str, str], era: str, tmp_path: Path
) -> None:
    options = [word for name, value in bridge.items() for word in ("-e", f"{name}={value}")]
    result = run_program(
        INSPECTOR, "--cli", *options, "--protocol-era", era, *STRICT, *BRIDGE, home=tmp_path
    )

    assert (result.returncode, result.stderr) == (0, "")
    assert "add_tasks" in result.stdout


def test_the_inspector_reports_a_schema_that_is_not_portable(tmp_path: Path) -> None:
    with open_fixtures(legacy=True, tools=[RARE_TOOL]) as address:
        result = run_program(INSPECTOR, "--cli", f"{address}/mcp", *STRICT, home=tmp_path)

    assert result.returncode == 6
    assert "test_rare_schema" in result.stderr


def run_probe(mode: str, *server: str, **environment: str) -> dict[str, Any]:
    result = subprocess.run(
        [str(venv.ensure("mcp")), str(PROBE), mode, *server],
        env={"PATH": os.environ["PATH"], **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def check_probe(found: dict[str, Any], mode: str) -> None:
    assert found["version"] == VERSIONS[mode]
    assert found["server"] == "todo-backend"
    assert found["instructions"]
    assert found["tools"][0] == "overview"
    assert found["overview"]["today"]
    assert found["added"]["run_id"]
    assert found["refused"][0] is True
    assert "tasks" in found["refused"][1]
    assert found["unknown"] == -32602


@pytest.mark.parametrize("mode", VERSIONS)
def test_the_sdk_calls_tools_over_http_and_is_named_in_the_journal(
    sqlite_service: Service, plain_front: str, mode: str
) -> None:
    token = sqlite_service.token(f"user-{uuid.uuid4()}")

    found = run_probe(mode, f"{plain_front}/mcp", token)

    check_probe(found, mode)
    with sqlite_service.client(token) as client:
        (entry,) = client.get("/api/v1/journal").json()["items"]
    assert entry["agent"] == "SDK-Probe/1.0"
    assert entry["run_id"] == found["added"]["run_id"]


@pytest.mark.parametrize("mode", VERSIONS)
def test_the_sdk_calls_tools_through_the_bridge(bridge: dict[str, str], mode: str) -> None:
    check_probe(run_probe(mode, *BRIDGE, **bridge), mode)
