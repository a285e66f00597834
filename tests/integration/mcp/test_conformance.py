"""The protocol's own conformance suite: against fixtures on the same layer, and the real service.

What fails is listed with its reason, and the list can only shrink: an entry that passes fails the
test as well.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.mcp.conformance_server import open_fixtures
from tests.integration.mcp.npm_programs import CONFORMANCE, run_program

MODERN, LEGACY = "2026-07-28", "2025-11-25"
REVISIONS = (MODERN, LEGACY)
# Responses are JSON, without streams: nothing is sent before the result or asked in between.
WITHOUT_STREAMS = {
    MODERN: {"tools-call-with-progress"},
    LEGACY: {
        "elicitation-sep1034-defaults",
        "elicitation-sep1330-enums",
        "tools-call-elicitation",
        "tools-call-sampling",
        "tools-call-with-logging",
        "tools-call-with-progress",
    },
}
# Arguments as headers: no tool of the service has any, and the suite does not count it.
WITHOUT_HEADERS = {MODERN: {"http-custom-header-server-validation"}, LEGACY: set[str]()}
# Tasks are an extension, which is not offered.
EXTENSION = re.compile(r"tasks-.*")
# Scenarios that the real service passes as it is. The others call tools, prompts and resources by
# the names of the suite.
WITHOUT_FIXTURES = {
    MODERN: {
        "caching",
        "dns-rebinding-protection",
        "http-header-validation",
        "input-required-result-unsupported-methods",
        "input-required-result-validate-input",
        "prompts-list",
        "resources-list",
        "sep-2164-resource-not-found",
        "server-sse-multiple-streams",
        "tools-list",
    },
    LEGACY: {
        "dns-rebinding-protection",
        "ping",
        "prompts-list",
        "resources-list",
        "server-initialize",
        "server-session-lifecycle",
        "server-sse-multiple-streams",
        "server-sse-polling",
        "tools-list",
    },
}
# Of the scenario `server-stateless`: each calls a tool of the suite.
STATELESS_WITH_FIXTURES = {
    "sep-2575-http-server-no-independent-requests-on-stream",
    "sep-2575-missing-capability-http-400",
    "sep-2575-server-no-log-without-loglevel",
    "sep-2575-server-rejects-undeclared-capability",
}
FAULTS = {"FAILURE", "WARNING"}


@pytest.fixture(scope="module", params=REVISIONS)
def revision(request: pytest.FixtureRequest) -> str:
    found: str = request.param
    return found


@pytest.fixture(scope="module")
def fixtures(revision: str) -> Iterator[str]:
    with open_fixtures(legacy=revision == LEGACY) as address:
        yield address


def run_suite(address: str, revision: str, folder: Path) -> dict[str, dict[str, str]]:
    """Scenario -> check -> status."""
    # fmt: off
    result = run_program(
        CONFORMANCE, "server", "--url", f"{address}/mcp", "--requirements", revision,
        "--timeout", "600000", "--output-dir", str(folder / "results"), home=folder,
    )
    # fmt: on
    assert "=== SUMMARY ===" in result.stdout, result.stdout + result.stderr
    return {
        re.sub(r"^server-|-\d{4}-\d\d-\d\dT[\dZ-]+$", "", file.parent.name): {
            check["id"]: check["status"] for check in json.loads(file.read_text())
        }
        for file in folder.glob("results/*/checks.json")
    }


def find_faults(found: dict[str, dict[str, str]]) -> dict[str, set[str]]:
    """Scenario -> checks that did not pass."""
    return {
        name: faults
        for name, checks in found.items()
        if not EXTENSION.fullmatch(name)
        and (faults := {check for check, status in checks.items() if status in FAULTS})
    }


def test_fixtures_on_the_protocol_layer_pass(fixtures: str, revision: str, tmp_path: Path) -> None:
    found = run_suite(fixtures, revision, tmp_path)

    assert set(find_faults(found)) == WITHOUT_STREAMS[revision] | WITHOUT_HEADERS[revision]
    assert len(found) > 30


def test_the_service_passes_what_needs_no_fixtures(
    front: str, revision: str, tmp_path: Path
) -> None:
    found = run_suite(front, revision, tmp_path)

    faults = find_faults(found)
    assert faults.pop("server-stateless", set()) == (
        STATELESS_WITH_FIXTURES if revision == MODERN else set()
    )
    passed = {name for name in found if not EXTENSION.fullmatch(name)} - set(faults)
    assert passed - {"server-stateless"} == WITHOUT_FIXTURES[revision]
