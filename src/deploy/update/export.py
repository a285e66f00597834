"""Export of an update's outcome to the database, where the backend reads it for its metrics.

The outcome is a setting of the database role, like the outcomes of backups.
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
"""Exit code -> result; for other codes, the result is FAILED."""


@contextlib.contextmanager
def exported() -> Iterator[None]:
    """Export the outcome of the update in the block."""
    try:
        yield
    except DeployError as error:
        _export(RESULTS.get(error.code, FAILED))
        raise
    _export(UPDATED)


def _export(result: str) -> None:
    """Write the result to the database; if the database is down, other alerts fire."""
    with contextlib.suppress(DeployError):
        refused = len(update_state.find_refused())
        outcome = json.dumps({"at": run.now(), "result": result, "refused": refused})
        database.query(f"ALTER ROLE CURRENT_USER SET todo.update = '{outcome}'")
