"""The labs of the system tests: one with the stack inside, which each test finds serving."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from deploy.lab import manager
from tests.system.stack_in_lab import open_machine

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.system.stack_in_lab import Stack


@pytest.fixture(scope="session")
def machine() -> Iterator[Stack]:
    """A lab without the stack."""
    with open_machine() as running:
        yield running


@pytest.fixture(scope="session")
def installed(machine: Stack) -> Stack:
    """The lab with the stack up, built from this checkout."""
    print(machine.up().stdout)  # noqa: T201  # shown with a failure: how long each step took
    return machine


@pytest.fixture
def stack(installed: Stack) -> Stack:
    """The stack, up and ready, whatever the test before did to it."""
    installed.systemctl("reset-failed", check=False)
    units = (
        "todo-backend.socket",
        "todo-management.socket",
        "todo-db",
        "todo-migrate",
        "todo-backend",
    )
    installed.systemctl("start", *units)
    installed.wait_ready()
    return installed


@pytest.fixture(scope="module")
def running() -> Iterator[manager.Lab]:
    """A lab of the tests of one module, without the stack."""
    with manager.throwaway() as started:
        yield started
