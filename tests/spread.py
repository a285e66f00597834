"""A pytest plugin that spreads a run over processes, each of which has servers of its own.

It goes with pytest-xdist; see docs/adr/0081-spread-a-test-run-over-processes.md.
"""

import os
import signal
from types import FrameType
from typing import Any

import pytest
from xdist.scheduler.loadscope import LoadScopeScheduling  # type: ignore[import-untyped]

_SYSTEM = "tests/system/"
_BROKEN_OFF = {pytest.ExitCode.INTERRUPTED, pytest.ExitCode.INTERNAL_ERROR}


class FileScheduler(LoadScopeScheduling):  # type: ignore[misc]
    """Gives each process one file after another, and all system tests to one of them."""

    def _split_scope(self, nodeid: str) -> str:
        # The system tests share one machine, which takes minutes to build.
        return _SYSTEM if nodeid.startswith(_SYSTEM) else nodeid.partition("::")[0]


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> FileScheduler:
    return FileScheduler(config, log)


def pytest_configure(config: pytest.Config) -> None:
    if hasattr(config, "workerinput"):
        _catch_interrupts()


def _catch_interrupts() -> None:
    """Let the first interrupt of a worker unwind its stack; only a third one ends its clean-up.

    The first is a Ctrl-C, which reaches all processes; the second that of `pytest_sessionfinish`.
    """
    count = 0

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        nonlocal count
        count += 1
        if count != 2:
            raise KeyboardInterrupt

    signal.signal(signal.SIGINT, interrupt)


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Interrupt the workers of a run that is broken off, and wait until each has cleaned up.

    xdist itself ends them after ten seconds, which would leave databases and machines behind.
    """
    controller = session.config.pluginmanager.get_plugin("dsession")
    if controller is None or exitstatus not in _BROKEN_OFF:
        return
    gateways: list[Any] = list(controller.nodemanager.group)
    for gateway in gateways:
        if not gateway.node.channel.isclosed():
            os.kill(gateway._io.popen.pid, signal.SIGINT)  # noqa: SLF001 - nothing public has it
    for gateway in gateways:
        gateway.node.channel.waitclose()
