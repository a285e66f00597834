"""Export of an update's outcome to the database, from which the backend makes metrics.

It is a setting of the role that writes it, as the outcomes of backups are.
"""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING

from deploy.errors import DeployError, ExitCode
from deploy.stack import database, update_state
from deploy.update import run

if TYPE_CHECKING:
    from collections.abc import Iterator

UPDATED, FAILED = "updated", "failed"
RESULTS: dict[int, str] = {ExitCode.REFUSED: "refused", ExitCode.ROLLED_BACK: "rolled-back"}
"""By the exit code; with another one, it has failed."""


@contextlib.contextmanager
def exported() -> Iterator[None]:
    """Export how the update in the block ends."""
    try:
        yield
    except DeployError as error:
        _export(RESULTS.get(error.code, FAILED))
        raise
    _export(UPDATED)


def _export(result: str) -> None:
    """Write it, where the database runs; without it, other alerts fire."""
    with contextlib.suppress(DeployError):
        refused = len(update_state.find_refused())
        outcome = json.dumps({"at": run.now(), "result": result, "refused": refused})
        database.query(f"ALTER ROLE CURRENT_USER SET todo.update = '{outcome}'")
