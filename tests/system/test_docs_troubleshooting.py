"""docs/troubleshooting.md: the lines that systemd, Podman and Quadlet print, in the lab."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tests.guides import blocks_of, outputs_of, pattern_of
from tests.system.stack_in_lab import wait_until
from tests.system.test_errors import error_line

if TYPE_CHECKING:
    from tests.system.stack_in_lab import Stack

PAGE = "troubleshooting.md"
UNIT = "todo-backend.container"


def assert_shown(heading: str, *printed: str) -> None:
    for expected, text in zip(outputs_of(PAGE)[heading], printed, strict=True):
        assert re.search(pattern_of(expected), text, re.DOTALL), text


def assert_logged(stack: Stack, heading: str) -> None:
    """The log has the lines of a heading; the journal may store them a while after they came."""
    (expected,) = outputs_of(PAGE)[heading]
    pattern = re.compile(pattern_of(expected), re.DOTALL)
    wait_until(lambda: bool(pattern.search(log_of(stack))), 60, f"log of {heading!r}")


def log_of(stack: Stack) -> str:
    return stack.lab.run(["journalctl", "--user", "--unit=todo-backend", "--output=cat"]).stdout


def test_a_typo_in_a_drop_in(stack: Stack) -> None:
    (command,) = (block for block in blocks_of(PAGE, "sh") if "generator" in block)
    with stack.drop_in(UNIT, "[Container]\nEnvironmnt=A=b\n"):
        line = error_line(stack.up(check=False))
        quadlet = stack.lab.run(["bash", "-c", command], check=False).stderr

    assert_shown("Quadlet rejects a drop-in", line, quadlet)


def test_an_image_that_is_missing(stack: Stack) -> None:
    name = "localhost/todo-backend:latest"
    image = stack.podman("image", "inspect", "--format={{.Id}}", name).stdout.strip()
    stack.podman("untag", name)
    try:
        assert stack.systemctl("restart", "todo-backend", check=False).returncode != 0
        # While systemd tries again: the journal loses the unit of a line whose process has ended.
        assert_logged(stack, "An image is missing")
    finally:
        stack.podman("tag", image, name)


def test_too_many_starts(stack: Stack) -> None:
    # Ten starts within 20 s are not certain on a busy machine.
    text = "[Unit]\nStartLimitIntervalSec=1h\n[Service]\nExecStartPre=/bin/false\n"
    with stack.drop_in(UNIT, text):
        stack.systemctl("restart", "todo-backend", check=False)
        wait_until(
            lambda: stack.show("todo-backend.socket", "ActiveState") == "failed", 600, "given up"
        )
    assert_logged(stack, "Too many starts")

    stack.up()
    assert stack.ready().is_success
