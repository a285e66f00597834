"""The lab of the fault suite, and the table that it prints at its end."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from deploy.lab import manager
from tests.faults import table
from tests.system.stack_in_lab import Stack, open_machine

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.faults.table import Record, Row

_ROWS = pytest.StashKey[list["Row"]]()
_UNITS = (
    *("todo-backend.socket", "todo-management.socket"),
    *("todo-db", "todo-migrate", "todo-backend"),
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """The switches of the suite, behind `build.py test faults --`."""
    group = parser.getgroup("faults")
    group.addoption("--table", help="write the table of faults to this file, as Markdown")
    group.addoption(
        "--failing-seconds",
        type=float,
        default=60.0,
        help="how long an instance fails beside good ones (60)",
    )
    group.addoption(
        "--lab", help="use this lab, in which the stack is up, with ports 8000 and 9000 published"
    )
    group.addoption("--power-cuts", type=int, default=50, help="how many power cuts (50)")


def pytest_configure(config: pytest.Config) -> None:
    """Begin the table."""
    config.stash[_ROWS] = []


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Print the table."""
    rows = config.stash[_ROWS]
    if not rows:
        return
    terminalreporter.section("faults")
    terminalreporter.write(table.render(rows))


@pytest.fixture
def record(pytestconfig: pytest.Config) -> Record:
    """Add a row to the table; fails where an acknowledged write is lost or doubled."""

    def add(row: Row, *, may_lose: int = 0) -> None:
        rows = pytestconfig.stash[_ROWS]
        rows.append(row)
        file = pytestconfig.getoption("--table")
        if file:
            # At once: what was measured stays if a later row never ends.
            Path(file).write_text(table.render(rows), encoding="utf-8")
        if row.report is not None:
            check_writes(row.report, may_lose=may_lose)

    return add


def check_writes(report: dict[str, Any], *, may_lose: int) -> None:
    """Fail where an acknowledged write is not there, or any is there twice.

    The event streams must have shown the same: what was acknowledged, once.
    """
    assert len(report["missing"]) <= may_lose, report
    assert report["doubled"] == [], report
    if not may_lose:
        assert not any(report["unseen"]), report
        assert not any(report["seen_twice"]), report


@pytest.fixture(scope="session")
def installed(pytestconfig: pytest.Config) -> Iterator[Stack]:
    """A lab with the stack up, built from this checkout."""
    name = pytestconfig.getoption("--lab")
    if name:
        lab = manager.attach(name)
        ports = {inner: port for port, inner in lab.publish.items()}
        yield Stack(lab, ports[8000], ports[9000])
        return
    with open_machine() as stack:
        print(stack.up().stdout)  # noqa: T201  # shown with a failure: how long each step took
        yield stack


@pytest.fixture
def stack(installed: Stack) -> Stack:
    """The stack, up and ready, whatever the fault before did to it."""
    installed.systemctl("reset-failed", check=False)
    installed.systemctl("start", *_UNITS)
    installed.wait_ready()
    return installed
