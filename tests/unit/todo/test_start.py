"""Modules imported at start: within their budget, and none that are unnecessarily heavy.

Every start, restart and recovery pays for an import, and the idle process keeps it. A new one is
listed here with its reason, or imported where it is used
(docs/adr/0015-import-only-what-every-start-needs.md).
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SOURCES = Path(__file__).parents[3] / "src"
ROUTE = "FastAPI, and with it what it imports itself"
OPTIONS = "reads and checks the options"

PACKAGES = {
    "annotated_doc": ROUTE,
    "annotated_types": ROUTE,
    "anyio": ROUTE,
    "fastapi": ROUTE,
    "opentelemetry": ROUTE,
    "pydantic": ROUTE,
    "pydantic_core": ROUTE,
    "starlette": ROUTE,
    "typing_extensions": ROUTE,
    "typing_inspection": ROUTE,
    "dotenv": OPTIONS,
    "pydantic_settings": OPTIONS,
    "sqlalchemy": "tables and statements; its Core alone",
    "greenlet": "carries SQLAlchemy's calls over to the event loop",
    "pybreaker": "guards the database",
    "prometheus_client": "counts every request",
    "pythonjsonlogger": "writes every line of the log",
    "orjson": "makes JSON, of the lines of the log first of all",
}
DRIVERS = {"postgresql": {"psycopg", "psycopg_binary"}, "sqlite": {"aiosqlite"}}

IN_VAIN = {
    "alembic": "half a second, for a migration; the revision to expect is a constant of tables.py",
    "sqlalchemy.orm": "50 ms and 6 MiB; tables and statements are those of SQLAlchemy's Core",
    "sqlalchemy.ext.asyncio": "brings the ORM; todo.db.connection does what is needed of it",
    "opentelemetry.sdk": "spans are for those whose environment says where they go",
    "hypercorn": "serves rare requests (docs/http.md), and is imported for the first of them",
    "jwt": "imports cryptography: 20 ms and 10 MiB, for the first token",
    "unittest": "belongs to tests",
    "httpx": "asks the model server of the assistant, for its first message",
    "todo.mcp": "the endpoint for agents is made for its first request",
}

# A few more than there are: an upgrade may bring some, a new dependency is to be decided here.
MAX_MODULES = 445

PROGRAM = """
import todo.__main__
import asyncio, json, sys
from todo.auth.tokens import TokenVerifier
from todo.app import create_app
from todo.config.settings import Settings
app = create_app(Settings(database_url=sys.argv[1]), TokenVerifier(b"x" * 32))
asyncio.run(app.state.health.find_problem("readyz"))
json.dump(sorted(sys.modules), sys.stdout)
"""


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    """Database -> what a process has imported once it has served and asked for the database."""
    folder = tmp_path_factory.mktemp("start")
    # No server listens there: a start tries to connect, and serves all the same.
    urls = {
        "postgresql": f"postgresql+psycopg://todo@/todo?host={folder}",
        "sqlite": f"sqlite+aiosqlite:///{folder}/todo.db",
    }
    # Side by side, in the time of one.
    processes = {
        database: subprocess.Popen(
            [sys.executable, "-c", PROGRAM, url],
            env={"PATH": os.environ["PATH"], "PYTHONPATH": str(SOURCES)},
            stdout=subprocess.PIPE,
        )
        for database, url in urls.items()
    }
    listed = {database: process.communicate() for database, process in processes.items()}
    return {database: set(json.loads(output)) for database, (output, _) in listed.items()}


def from_packages(modules: set[str]) -> set[str]:
    """Those of packages that somebody installed, and not what the interpreter registers itself."""
    ours = {"todo", "__main__", "cython_runtime"} | sys.stdlib_module_names
    return {name for name in modules if not name.startswith("_") and top(name) not in ours}


def top(name: str) -> str:
    return name.partition(".")[0]


@pytest.mark.parametrize("database", DRIVERS)
def test_each_package_imported_at_start_has_its_reason(
    started: dict[str, set[str]], database: str
) -> None:
    imported = {top(name) for name in from_packages(started[database])}

    assert imported - set(PACKAGES) - DRIVERS[database] == set()


def test_every_package_with_a_reason_is_imported(started: dict[str, set[str]]) -> None:
    assert set(PACKAGES) - started["postgresql"] == set()


@pytest.mark.parametrize("name", IN_VAIN)
def test_what_a_start_does_not_need_is_not_imported(
    started: dict[str, set[str]], name: str
) -> None:
    imported = started["postgresql"] | started["sqlite"]

    assert {each for each in imported if f"{each}.".startswith(f"{name}.")} == set()


def test_the_other_database_brings_nothing_in(started: dict[str, set[str]]) -> None:
    assert "sqlite3" not in started["postgresql"]
    assert "psycopg" not in started["sqlite"]


def test_the_number_of_modules_stays_within_its_budget(started: dict[str, set[str]]) -> None:
    assert len(from_packages(started["postgresql"])) <= MAX_MODULES
