"""Backup on request: starts its service and waits for the outcome."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from deploy import command_hints, progress
from deploy.errors import DeployError, ExitCode
from deploy.stack import backup_status, backups, journal, systemd
from deploy.stack.services import BACKUP

if TYPE_CHECKING:
    from deploy.stack.backup_status import Outcome

_POLL_S = 0.2
_CODES = {69: ExitCode.UNAVAILABLE, 74: ExitCode.NO_SPACE, 78: ExitCode.CONFIG}
"""Exit code of the backup script -> exit code of build.py."""


def run() -> Outcome:
    """Make a backup, or wait for the running one; raise a DeployError if it fails."""
    folder = backups.find_folder()
    with progress.step("Making a backup") as step:
        backups.save_settings()
        systemd.systemctl("reset-failed", BACKUP, check=False)
        systemd.systemctl("start", "--no-block", BACKUP)
        state = systemd.state(BACKUP)
        # TimeoutStartSec= bounds the wait.
        while state.has_job or state.active in {"activating", "deactivating"}:
            step.note(f"{state.active} ({state.sub})")
            time.sleep(_POLL_S)
            state = systemd.state(BACKUP)
    outcome = backup_status.read_outcome(folder)
    if state.active != "failed" and outcome is not None and outcome.ok:
        return outcome
    ended = "" if state.signaled else f" (exit code {state.status})"
    reason = journal.last_line(BACKUP, state.invocation).removeprefix("todo-backup: ")
    raise DeployError(
        f"the backup failed{ended}: {reason or 'its log does not say why'}",
        hint=f"see {command_hints.build('logs backup')}",
        code=_CODES.get(state.status, ExitCode.FAILED),
    )


def render(outcome: Outcome) -> str:
    """Return the outcome as one line."""
    return f"{outcome.stamp}: {outcome.bytes / 1e6:.1f} MB in {outcome.seconds} s, verified"
