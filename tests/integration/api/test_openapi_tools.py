"""The OpenAPI document is clean for Redocly and Spectral, and a client of TypeScript may leave out
what has a default."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from deploy.dev import suite_programs
from todo.app import create_app
from todo.auth.tokens import TokenVerifier
from todo.config.settings import Settings

SOURCES = Path(__file__).with_name("openapi")


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    # Nothing connects; embedded SQLite would make the folder of its file.
    settings = Settings(database_url="postgresql+psycopg://todo@/todo?host=/nowhere")
    app = create_app(settings, TokenVerifier(b"an integration test's secret of 32+ bytes"))
    made: dict[str, Any] = json.loads(json.dumps(app.openapi()))
    return made


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the programs are found as in a project of their own."""
    tools = suite_programs.find_openapi_tools()
    if tools is None:
        raise FileNotFoundError("no linters here: python3 build.py test integration fetches them")
    made = tmp_path_factory.mktemp("openapi")
    (made / "node_modules").symlink_to(tools / "node_modules")
    for name in ("redocly.mjs", "spectral.json"):
        (made / name).write_bytes((SOURCES / name).read_bytes())
    return made


def run(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    node = suite_programs.find_node()
    assert node is not None, "no node here: python3 build.py test integration installs it"
    return subprocess.run(
        [node, *command],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "HOME": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )


def write(folder: Path, document: dict[str, Any]) -> str:
    file = folder / "openapi.json"
    file.write_text(json.dumps(document))
    return str(file)


def redocly(folder: Path, document: dict[str, Any]) -> list[dict[str, str]]:
    result = run(folder, "redocly.mjs", write(folder, document))
    assert result.returncode == 0, result.stderr
    found: list[dict[str, str]] = json.loads(result.stdout)
    return found


def spectral(folder: Path, document: dict[str, Any]) -> list[dict[str, Any]]:
    program = "node_modules/.bin/spectral"
    options = ["--ruleset", "spectral.json", "--format", "json", "--quiet"]
    result = run(folder, program, "lint", *options, write(folder, document))
    assert result.stderr == ""
    found: list[dict[str, Any]] = json.loads(result.stdout)
    return found


def test_redocly_finds_nothing(folder: Path, document: dict[str, Any]) -> None:
    assert redocly(folder, document) == []
    without = {name: part for name, part in document.items() if name != "servers"}
    assert [each["ruleId"] for each in redocly(folder, without)] == ["no-empty-servers"]


def test_spectral_finds_nothing(folder: Path, document: dict[str, Any]) -> None:
    assert spectral(folder, document) == []
    without = {name: part for name, part in document.items() if name != "tags"}
    assert {each["code"] for each in spectral(folder, without)} == {"operation-tag-defined"}


# The least that each body may be, and what a compiler must refuse.
CLIENT = """
import type { components } from './api.d.ts'
type Schemas = components['schemas']
export const task: Schemas['TaskCreate'] = { title: 'x' }
export const change: Schemas['TaskUpdate'] = {}
export const batch: Schemas['Batch'] = { operations: [{ op: 'create', task: { title: 'x' } }] }
export const token: Schemas['TokenCreate'] = { name: 'x', scopes: ['read'] }
export const list: Schemas['ListCreate'] = { name: 'x' }
export const form: Schemas['FrontEndCreate'] = { title: 'x' }
export const state: Schemas['FrontEndToggle'] = {}
// @ts-expect-error: the title is required
export const untitled: Schemas['TaskCreate'] = {}
// @ts-expect-error: another priority
export const urgent: Schemas['TaskCreate'] = { title: 'x', priority: 'urgent' }
export const priority = (read: Schemas['TaskRead']): string => read.priority
"""


def test_a_client_of_typescript_may_leave_out_what_has_a_default(
    folder: Path, document: dict[str, Any]
) -> None:
    program = "node_modules/openapi-typescript/bin/cli.js"
    made = run(folder, program, write(folder, document), "--output", "api.d.ts")
    assert made.returncode == 0, made.stderr
    (folder / "client.mts").write_text(CLIENT)

    # fmt: off
    compiled = run(
        folder, "node_modules/typescript/bin/tsc", "--noEmit", "--strict", "--module", "nodenext",
        "--moduleResolution", "nodenext", "--target", "es2022", "--skipLibCheck",
        "client.mts",
    )
    # fmt: on

    assert (compiled.returncode, compiled.stdout) == (0, "")
