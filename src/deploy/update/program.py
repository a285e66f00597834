"""Schema revisions and load time of the program in an image."""

from __future__ import annotations

import concurrent.futures
import contextlib
import dataclasses
import json
import time
from typing import TYPE_CHECKING

from deploy import process
from deploy.update.faults import FaultError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from concurrent.futures import Future

    from deploy.stack.update_state import Image

_FIRST_S = 10.0
"""Time after which the running image is started for comparison; a program needs 1 to 2 s."""
_FACTOR = 5.0
"""Maximum ratio of the image's load time to that of the running image."""
_TIMEOUT_S = 600.0
"""Timeout of a container, in case the running image hangs as well."""
_POLL_S = 0.2
_TRIED, _BESIDE = "todo-update-asked", "todo-update-beside"
"""Names of the containers for the image and for the running image."""
_PROGRAM = """
import importlib, json, pkgutil
import todo.db.migrations.versions as versions
import todo.db.tables as tables
names = [each.name for each in pkgutil.iter_modules(versions.__path__)]
modules = [importlib.import_module(f"{versions.__name__}.{name}") for name in names]
oldest = {each.revision: getattr(each, "oldest_program", "") for each in modules}
expected, contracts = tables.EXPECTED_REVISION, getattr(tables, "CONTRACTS", ())
last = (expected, *contracts)[-1]
print(json.dumps([expected, list(tables.REVISIONS), oldest[expected], oldest[last]]))
"""
"""Script that prints the schemas of an image's program."""


@dataclasses.dataclass(frozen=True)
class Schemas:
    """Schemas that a program supports.

    Attributes:
        expected: Revision that its `migrate` produces.
        known: Revisions that it can migrate from.
        oldest_program: Oldest program that works with `expected`.
        seconds: Seconds that the container took to report this, as an estimate of a start.
        oldest_contracted: Oldest program that works with the schema after the contract step.
    """

    expected: str
    known: tuple[str, ...]
    oldest_program: str
    seconds: float
    oldest_contracted: str = ""


def read_schemas(image: Image, running: Image) -> Schemas:
    """Return the schemas that the program in an image supports.

    Args:
        image: Image to examine.
        running: Image that runs now, whose load time determines the timeout.

    Raises:
        FaultError: The program does not run, hangs, or is not the backend. The image is not the
            cause if the running image does not respond either.
    """
    with _asked(image, _TRIED) as mine:
        if not _ends(mine, _FIRST_S):
            _wait_beside(mine, running)
        answer = mine.result()
    found = _parse(answer)
    if found is None:
        lines = answer.completed.stderr.strip().splitlines() or ["it printed nothing"]
        raise FaultError(
            f"its program does not report the schemas that it supports: {lines[-1]}",
            of_image=_answers(running, max(_FIRST_S, _FACTOR * answer.seconds)),
        )
    return found


def measure_start(image: Image, running: Image) -> float:
    """Return the seconds that the program in an image takes to load; 0 if it fails."""
    try:
        return read_schemas(image, running).seconds
    except FaultError:
        return 0.0


@dataclasses.dataclass(frozen=True)
class _Answer:
    """Output and duration in seconds of a container."""

    completed: process.Completed
    seconds: float


@contextlib.contextmanager
def _asked(image: Image, container: str) -> Iterator[Future[_Answer]]:
    """Run the script in a container of an image; remove the container at the end of the block."""
    with concurrent.futures.ThreadPoolExecutor(max_workers=1) as executor:
        future = executor.submit(_ask, image, container)
        try:
            yield future
        finally:
            remove = ["podman", "rm", "--force", "--ignore", "--time=0", container]
            # The removal is repeated, because the container may not exist yet.
            while not _ends(future, _POLL_S):
                process.run(remove, check=False)


def _ask(image: Image, container: str) -> _Answer:
    # `--replace`: a killed command may have left a container of this name.
    run = ["podman", "run", "--rm", "--replace", f"--name={container}", "--stop-timeout=0"]
    run += ["--pull=never", "--network=none", "--read-only", "--cap-drop=all", "--pids-limit=0"]
    run += ["--entrypoint=/usr/bin/python3", image.reference, "-c", _PROGRAM]
    started = time.monotonic()
    completed = process.run(run, check=False, timeout_s=_TIMEOUT_S)
    return _Answer(completed, time.monotonic() - started)


def _wait_beside(mine: Future[_Answer], running: Image) -> None:
    """Wait for the program, at most `_FACTOR` times as long as the running image needs now."""
    began = time.monotonic()
    with _asked(running, _BESIDE) as theirs:
        concurrent.futures.wait([mine, theirs], return_when=concurrent.futures.FIRST_COMPLETED)
    now_s = time.monotonic() - began
    if not _ends(mine, (_FACTOR - 1) * now_s):
        waited_s = _FIRST_S + time.monotonic() - began
        raise FaultError(
            f"its program did not load within {waited_s:.0f} s, and the one that runs needs "
            f"{now_s:.1f} s",
            of_image=_parse(theirs.result()) is not None,
        )


def _answers(image: Image, within_s: float) -> bool:
    """Return whether the program in an image reports its schemas in time."""
    with _asked(image, _BESIDE) as asked:
        return _ends(asked, within_s) and _parse(asked.result()) is not None


def _ends(future: Future[_Answer], within_s: float) -> bool:
    return bool(concurrent.futures.wait([future], within_s).done)


def _parse(answer: _Answer) -> Schemas | None:
    """Return the schemas that a program printed, or None if the output is invalid."""
    try:
        expected, known, oldest, contracted = json.loads(answer.completed.stdout)
        return Schemas(expected, tuple(known), oldest, answer.seconds, contracted)
    except (ValueError, TypeError):
        return None
