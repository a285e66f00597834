"""Table of PostgreSQL minor releases whose release notes require action on existing data."""

from __future__ import annotations

import contextlib
import json
import re
from typing import TYPE_CHECKING

from deploy import command_hints
from deploy.image import build

if TYPE_CHECKING:
    from collections.abc import Iterator

_PSQL = "podman exec todo-db psql --host=/run/todo --username=postgres --dbname=todo --command"

NOTES = {
    (17, 12): (
        "before it, deletions could damage GIN indexes, and the search has one",
        f"{_PSQL} 'REINDEX INDEX CONCURRENTLY ix_task_search'",
    ),
}
"""Release -> defect of earlier releases, and the command that repairs existing data."""

_VERSION = re.compile(r"(\d+)\.(\d+)")


def find_release() -> tuple[int, int] | None:
    """Return the PostgreSQL release in the build record of the database image, or None."""
    path = build.record_dir() / f"todo-db{build.RECORDS[1]}"
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        for package in json.loads(path.read_text(encoding="utf-8"))["debian"]:
            if re.fullmatch(r"postgresql-\d+", package["name"]):
                found = _VERSION.match(package["version"])
                return (int(found[1]), int(found[2])) if found else None
    return None


def find_demands(before: tuple[int, int] | None, after: tuple[int, int] | None) -> Iterator[str]:
    """Yield the actions that a minor update requires, one per line; None is an unknown release."""
    if before is None or after is None or before[0] != after[0]:
        # A new cluster has no data of an earlier release.
        return
    for release, (reason, command) in NOTES.items():
        if before < release <= after:
            name = ".".join(map(str, release))
            yield f"PostgreSQL {name}: {reason}. Once it runs: {command_hints.shell(command)}"
