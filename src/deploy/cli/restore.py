"""`build.py restore`."""

from __future__ import annotations

from pathlib import Path

from plumbum import cli

from deploy import command_hints, folder_lock, paths
from deploy.backup import restore, target
from deploy.backup.stack_machine import StackMachine
from deploy.bootstrap.entrypoint import write_output
from deploy.cli.command import usage
from deploy.cli.stack_command import StackCommand
from deploy.stack import backups, lifecycle, update_state
from deploy.stack.services import has_backups
from deploy.update import begin
from deploy.upgrade import record

_RECORD = "restore.json"
_PARSERS = {
    "to": target.parse_time,
    "to_point": target.parse_point,
    "to_backup": target.parse_backup,
    "before": target.parse_change,
    "to_volume": target.parse_volume,
}


class Restore(StackCommand):
    """Restore a backup into a new volume; the former volume stays."""

    to = cli.SwitchAttr("--to", str, argname="TIME", help="restore the state at a time")
    to_point = cli.SwitchAttr(
        "--to-point", str, argname="NAME", help="restore the state at a restore point"
    )
    before = cli.SwitchAttr(
        "--before",
        str,
        argname="RUN",
        help="restore the state before the first change of a run, or before a journal entry "
        "USER/NUMBER",
    )
    to_backup = cli.SwitchAttr(
        "--to-backup", str, argname="STAMP", help="restore a base backup without the WAL after it"
    )
    to_volume = cli.SwitchAttr(
        "--to-volume",
        str,
        argname="NAME",
        help="return to an existing volume, such as the former one",
    )
    folder = cli.SwitchAttr(
        "--from",
        str,
        argname="FOLDER",
        help="use this backup folder, for example from another machine",
    )
    accept_gap = cli.Flag("--accept-gap", help="restore up to a missing WAL file, if there is one")
    accept_findings = cli.Flag(
        "--accept-findings", help="use the database even if it fails verification"
    )

    def main(self) -> int:
        """Restore, and print the current and the previous volume."""
        given = {name: getattr(self, name) for name in _PARSERS if getattr(self, name) is not None}
        if len(given) > 1:
            names = " and ".join(f"--{name.replace('_', '-')}" for name in given)
            raise usage(f"{names} are mutually exclusive", str(self.PROGNAME))
        if self.to_volume is not None and self.folder:
            raise usage("--to-volume and --from are mutually exclusive", str(self.PROGNAME))
        wanted = target.Target()
        for name, text in given.items():
            wanted = _PARSERS[name](text)
        code = self.elsewhere("restore", self._words(given))
        if code is None:
            with update_state.hold():
                # The backend cannot start without its database, which the restore recreates.
                begin.recover(must_start=False)
                write_output(render(self._restore(wanted)))
            code = 0
        return code

    def _restore(self, wanted: target.Target) -> restore.Outcome:
        folder = Path(self.folder).expanduser().absolute() if self.folder else _find_folder()
        machine = StackMachine(
            folder, is_foreign=bool(self.folder), accept_findings=bool(self.accept_findings)
        )
        record.refuse_interrupted()
        if wanted.kind is target.Kind.VOLUME:
            lifecycle.refuse_absent()
        else:
            machine.check(wanted.value if wanted.kind is target.Kind.BACKUP else "")
        state = paths.state_dir()
        state.mkdir(parents=True, exist_ok=True)
        with folder_lock.hold(state):
            if wanted.kind is target.Kind.VOLUME:
                return restore.use_volume(machine, wanted.value, state / _RECORD)
            gap = bool(self.accept_gap)
            return restore.run(machine, wanted, folder, state / _RECORD, accept_gap=gap)

    def _words(self, given: dict[str, str]) -> list[str]:
        words = [f"--{name.replace('_', '-')}={text}" for name, text in given.items()]
        words += [f"--from={self.folder}"] if self.folder else []
        flags = {"accept-gap": self.accept_gap, "accept-findings": self.accept_findings}
        return words + [f"--{name}" for name, is_set in flags.items() if is_set]


def _find_folder() -> Path:
    return backups.find_folder() if has_backups() else backups.default_folder()


def render(outcome: restore.Outcome) -> str:
    """Render the outcome as text."""
    lines = [f"restored {outcome.target}, into the volume {outcome.volume}"]
    if outcome.target.kind is target.Kind.VOLUME:
        lines = [f"the stack uses the volume {outcome.volume}"]
    elif outcome.restored is not None:
        last = outcome.restored.last or "unknown, none is in the WAL"
        lines.append(f"from the base backup {outcome.restored.base}, last change: {last}")
    else:
        lines.append("it was restored and verified by an earlier run")
    if outcome.former is not None:
        remove = command_hints.shell(f"podman volume rm {outcome.former}")
        lines.append(f"the former data is in the volume {outcome.former}; to remove it: {remove}")
    lines.append(f"ready at {outcome.url}")
    return "".join(f"{line}\n" for line in lines)
