"""Log of the stack: messages of its programs and of systemd in the user's journal."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import json
from typing import TYPE_CHECKING

from deploy import process
from deploy.errors import DeployError, ExitCode
from deploy.stack import log_line
from deploy.stack.services import (
    AI,
    BACKEND,
    BACKUP,
    CANDIDATE,
    DRILL,
    DRILL_DB,
    MAX_INSTANCES,
    SERVICES,
    UPDATE,
    WAL,
    container_of,
    name_instance,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator, Sequence

    from deploy.stack.log_line import Line

UNITS = tuple(
    service.removeprefix("todo-").removesuffix(".service")
    for service in (*SERVICES, AI, WAL, BACKUP, DRILL, DRILL_DB, UPDATE)
)
"""Names of units for users; `backend` means all instances, `backend@2` one of them."""
INSTANCES = tuple(
    service.removeprefix("todo-").removesuffix(".service")
    for service in (*map(name_instance, range(2, MAX_INSTANCES + 1)), CANDIDATE)
)
"""Names of additional instances, and of the candidate of an update."""
DEFAULT_LINES = 100

_FIELDS = "MESSAGE,PRIORITY,CONTAINER_NAME,SYSLOG_IDENTIFIER,USER_UNIT,_SYSTEMD_USER_UNIT"
_JOURNAL = ("journalctl", "--user", "--quiet", "--no-pager")


@dataclasses.dataclass(frozen=True)
class Query:
    """Selection of log events.

    Attributes:
        units: Units, out of UNITS; empty for all.
        lines: Maximum number of events, the latest ones; None for all.
        since: Start time in the format of journalctl; empty for no limit.
        errors: Whether to select only the levels ERROR and CRITICAL.
        request: ID of the request to select; empty for all.
    """

    units: tuple[str, ...] = ()
    lines: int | None = DEFAULT_LINES
    since: str = ""
    errors: bool = False
    request: str = ""

    def matches(self, line: Line) -> bool:
        """Return whether an event has the selected level and request ID."""
        if self.errors and not line.is_error:
            return False
        return not self.request or line.request_id == self.request


@dataclasses.dataclass(frozen=True)
class Errors:
    """Latest errors of the log.

    Attributes:
        latest: Errors, oldest first.
        searched: Number of searched events, the newest ones.
        since: Time of the oldest searched event; None without events.
        planned: Number of omitted errors that commands of `build.py` caused.
    """

    latest: tuple[Line, ...]
    searched: int
    since: str | None
    planned: int = 0


def check_since(time: str) -> None:
    """Raise DeployError if journalctl does not accept a time; the journal is not read."""
    done = process.run([*_JOURNAL, f"--since={time}", "--lines=0"], check=False)
    if done.returncode != 0 and "timestamp" in done.stderr:
        raise DeployError(
            f"--since: {time} is not a valid time",
            hint='write a time such as "10 min ago", "today" or "2026-11-30 14:00"',
            code=ExitCode.USAGE,
        )


def read(query: Query, *, follow: bool = False) -> Iterator[Line]:
    """Yield the events of a query, oldest first; `follow` waits for new events indefinitely."""
    if query.lines is None:
        following = ["--follow", "--no-tail"] if follow else []
        yield from filter(query.matches, _run(query, *following))
        return
    latest, cursor = _find_latest(query, query.lines)
    yield from latest
    if follow:
        start = [f"--after-cursor={cursor}"] if cursor else []
        yield from filter(query.matches, _run(query, *start, "--follow", "--no-tail"))


def find_errors(
    lines: int, *, search: int, is_planned: Callable[[Line], bool] = lambda _: False
) -> Errors:
    """Return the latest errors among the newest events of all units.

    Args:
        lines: Maximum number of errors.
        search: Number of events to search; a busy backend logs one for each request.
        is_planned: Predicate for errors to omit, because a command caused them.
    """
    found: list[Line] = []
    searched = planned = 0
    oldest: Line | None = None
    with contextlib.closing(_run(Query(), "--reverse")) as newest_first:
        for line in itertools.islice(newest_first, search):
            searched, oldest = searched + 1, line
            if line.is_error and is_planned(line):
                planned += 1
            elif line.is_error:
                found.append(line)
            if len(found) == lines:
                break
    since = oldest.at.isoformat() if oldest else None
    return Errors(tuple(reversed(found)), searched, since, planned)


def without_echoes(lines: Iterable[Line]) -> Iterator[Line]:
    """Yield the lines without duplicates: Podman and its log driver both log some output."""
    before: Line | None = None
    for line in lines:
        echoes = before is not None and (line.unit, line.message) == (before.unit, before.message)
        if line.fields or not echoes:
            yield line
        before = line


def _find_latest(query: Query, lines: int) -> tuple[list[Line], str]:
    """Return the latest events that match, oldest first, and the cursor of the newest event.

    The journal cannot search JSON for a level or a request, so it is read backwards.
    """
    found: list[Line] = []
    with contextlib.closing(process.follow(_command(query, "--reverse"))) as output:
        first = next(output, "")
        if lines > 0:
            newest_first = without_echoes(_parse(itertools.chain([first], output)))
            found += itertools.islice(filter(query.matches, newest_first), lines)
    return found[::-1], _cursor(first)


def _cursor(text: str) -> str:
    with contextlib.suppress(ValueError):
        return str(json.loads(text).get("__CURSOR", ""))
    return ""


def _run(query: Query, *switches: str) -> Generator[Line, None, None]:
    with contextlib.closing(process.follow(_command(query, *switches))) as output:
        yield from without_echoes(_parse(output))


def _parse(output: Iterable[str]) -> Iterator[Line]:
    return (line for text in output if (line := log_line.parse(text)) is not None)


def _command(query: Query, *switches: str) -> list[str]:
    return [
        *_JOURNAL,
        "--output=json",
        "--all",
        f"--output-fields={_FIELDS}",
        *([f"--since={query.since}"] if query.since else []),
        *switches,
        *_matches(query.units or UNITS),
    ]


def _matches(units: Sequence[str]) -> list[str]:
    """Return journal matches for programs, containers and systemd, without Podman's events."""
    terms = []
    for unit in units:
        name = f"todo-{unit}"
        of_all = INSTANCES if f"{name}.service" == BACKEND else ()
        for each in (name, *(f"todo-{instance}" for instance in of_all)):
            terms += [
                [f"CONTAINER_NAME={container_of(each)}"],
                [f"USER_UNIT={each}.service", "SYSLOG_IDENTIFIER=systemd"],
                [f"_SYSTEMD_USER_UNIT={each}.service", f"SYSLOG_IDENTIFIER={each}"],
            ]
    joined = itertools.chain.from_iterable(["+", *term] for term in terms)
    return list(joined)[1:]
