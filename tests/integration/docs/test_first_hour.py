"""docs/first-hour.md, run from its first command to its last, on each database."""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.guides import DOCS, pattern_of
from tests.integration.cluster import Cluster, find_free_port
from tests.integration.service import Service, open_service

PAGE = "first-hour.md"
ADDRESS = "http://127.0.0.1:8000"
BLOCK = re.compile(r"^```(sh|text)\n(.*?)^```", re.MULTILINE | re.DOTALL)
MARK = "--- end of block ---"
# No measure of speed: the page waits for an event at one place.
TIMEOUT_S = 600
# The commands that ask an installed backend ask the one of this test instead.
_PYTHON = """#!/bin/sh
case "$1 $2" in
"build.py token") shift 2; exec {python} -m todo.admin token --subject "$@" ;;
"build.py admin") shift 2; exec {python} -m todo.admin "$@" ;;
*) exec {python} "$@" ;;
esac
"""


@pytest.fixture(params=["sqlite", "postgres"])
def service(request: pytest.FixtureRequest) -> Iterator[Service]:
    """A backend that nobody has used yet."""
    options = {"TODO_BIND": f"127.0.0.1:{find_free_port()}"}
    if request.param == "postgres":
        cluster: Cluster = request.getfixturevalue("cluster")
        database = {"TODO_DATABASE_URL": cluster.make_database()}
        options |= {**database, "TODO_DATABASE_MIGRATE": "startup"}
    with open_service(options) as service:
        service.wait_ready()
        yield service


def commands_and_outputs() -> list[tuple[str, str | None]]:
    """Return each block of commands, with the output that the page shows below it."""
    found: list[tuple[str, str | None]] = []
    for language, text in BLOCK.findall((DOCS / PAGE).read_text()):
        if language == "sh":
            found.append((text, None))
        else:
            assert found, "an output without a command"
            assert found[-1][1] is None, f"two outputs of one block: {text}"
            found[-1] = (found[-1][0], text)
    return found


def run(service: Service, commands: list[str], folder: Path) -> list[str]:
    """Run the blocks in one shell, and return what each printed."""
    shim = folder / "python3"
    shim.write_text(_PYTHON.format(python=shlex.quote(sys.executable)))
    shim.chmod(0o755)
    address = f"http://{service.environment['TODO_BIND']}"
    script = "".join(f"{text}\necho '{MARK}'\n" for text in commands).replace(ADDRESS, address)
    done = subprocess.run(
        ["bash", "-eu", "-o", "pipefail", "-c", script],
        env={**service.environment, "PATH": f"{folder}:{os.environ['PATH']}"},
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout.split(f"{MARK}\n")[:-1]


@pytest.mark.longer(TIMEOUT_S)
def test_every_command_does_what_the_page_shows(service: Service, tmp_path: Path) -> None:
    steps = commands_and_outputs()
    printed = run(service, [commands for commands, _output in steps], tmp_path)

    for (commands, shown), output in zip(steps, printed, strict=True):
        expected = "" if shown is None else shown
        assert re.fullmatch(pattern_of(expected), output.strip(), re.DOTALL), (
            f"{commands}\nprinted:\n{output}\nand the page shows:\n{expected}"
        )


def test_an_output_that_differs_would_be_noticed() -> None:
    pattern = pattern_of('{"seq":…,"title":"a"}')

    assert re.fullmatch(pattern, '{"seq":7,"title":"a"}')
    assert not re.fullmatch(pattern, '{"seq":7,"title":"b"}')
