"""`build.py upgrade-db`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from plumbum import cli

from deploy import command_hints, folder_lock, paths
from deploy.bootstrap.entrypoint import write_output
from deploy.cli.command import usage
from deploy.cli.stack_command import StackCommand
from deploy.errors import DeployError, ExitCode
from deploy.image import build
from deploy.stack import in_lab, lifecycle, postgresql, update_state
from deploy.update import begin
from deploy.upgrade import record, steps
from deploy.upgrade.stack_machine import StackMachine

if TYPE_CHECKING:
    from deploy.upgrade.machine import Copied

_MB = 1e6


class UpgradeDb(StackCommand):
    """Move the database to the next major version of PostgreSQL; the former volume stays."""

    rehearse = cli.Flag(
        "--rehearse", help="only rehearse with a copy of a restored backup or of the live database"
    )
    no_rehearsal = cli.Flag("--no-rehearsal", help="skip the rehearsal")
    back = cli.Flag("--back", help="return to the former volume and version")
    lose_writes = cli.Flag(
        "--lose-writes", help="with --back: discard the writes since the upgrade"
    )
    builder = cli.SwitchAttr("--builder", str, help="base image of the build stages")
    image_cache = cli.SwitchAttr("--image-cache", Path, help="cache folder of finished images")

    def main(self) -> int:
        """Upgrade or return to the previous version, and print what the stack uses now."""
        program = str(self.PROGNAME)
        if self.lose_writes and not self.back:
            raise usage("--lose-writes requires --back", program)
        if self.back + self.rehearse + self.no_rehearsal > 1:
            raise usage("--back, --rehearse and --no-rehearsal are mutually exclusive", program)
        code = self.elsewhere("upgrade-db", self._words())
        if code is not None:
            return code
        lifecycle.refuse_absent()
        state = paths.state_dir()
        state.mkdir(parents=True, exist_ok=True)
        with update_state.hold():
            # A later recovery would restore the unit files from before the upgrade.
            begin.recover()
            with folder_lock.hold(state):
                write_output(self._go_back() if self.back else self._upgrade())
        return 0

    def _words(self) -> list[str]:
        flags = {
            "rehearse": self.rehearse,
            "no-rehearsal": self.no_rehearsal,
            "back": self.back,
            "lose-writes": self.lose_writes,
        }
        words = [f"--{name}" for name, is_set in flags.items() if is_set]
        words += [f"--builder={self.builder}"] if self.builder else []
        # This is a folder in the lab; the default is the labs' cache of images.
        return [*words, f"--image-cache={self.image_cache or in_lab.IMAGES}"]

    def _upgrade(self) -> str:
        found = record.read(record.path())
        steps.refuse_return(found)
        # Otherwise, the database would refuse writes during the build and the rehearsal.
        if found and steps.cancel(StackMachine(found.before, found.after), record.path()):
            found = None
        if found and found.step is record.Step.SWITCH:
            return self._finish(found)
        before, after = postgresql.find_installed(), postgresql.find_known()[-1]
        if before == after:
            return f"the stack runs PostgreSQL {after}, the newest that this checkout has\n"
        machine = StackMachine(before, after)
        machine.check(rehearses=not self.no_rehearsal)
        machine.build(build.Options(builder=self.builder, archive_dir=self.image_cache))
        if not self.no_rehearsal:
            rehearsed = render_rehearsal(machine.rehearse(), after)
            if self.rehearse:
                return rehearsed
            write_output(rehearsed)
        return render(steps.run(machine, before, after, record.path()))

    def _finish(self, found: record.Record) -> str:
        if self.rehearse:
            message = "an upgrade was interrupted"
            hint = f"finish it: {command_hints.build('upgrade-db')}"
            raise DeployError(message, hint=hint, code=ExitCode.CONFIG)
        machine = StackMachine(found.before, found.after)
        return render(steps.run(machine, found.before, found.after, record.path()))

    def _go_back(self) -> str:
        found = record.read(record.path())
        machine = StackMachine(found.before, found.after) if found else StackMachine("", "")
        if steps.cancel(machine, record.path()):
            return "the interrupted upgrade is canceled: the stack uses what it used before\n"
        outcome = steps.go_back(machine, record.path(), lose_writes=bool(self.lose_writes))
        return render_return(outcome)


def render_rehearsal(copied: Copied, major: str) -> str:
    """Render the outcome of a rehearsal as text."""
    return (
        f"rehearsed: {copied.rows} rows in PostgreSQL {major}, {copied.size_bytes / _MB:.1f} MB, "
        f"in {copied.seconds:g} s, every journal verified; the copy is removed\n"
    )


def render(outcome: steps.Outcome) -> str:
    """Render the outcome of an upgrade as text."""
    done, copied = outcome.record, outcome.copied
    lines = [f"the stack runs PostgreSQL {done.after}, on the volume {done.volume}"]
    if copied is not None:
        rows = f"{copied.rows} rows, {copied.size_bytes / _MB:.1f} MB"
        lines.append(f"{rows}: every table compared, every journal verified")
    if outcome.refused_s is not None:
        lines.append(f"writes were refused for {outcome.refused_s:.1f} s")
    remove = command_hints.shell(f"podman volume rm {done.former}")
    lines.append(f"the former data is in the volume {done.former}; to remove it: {remove}")
    lines.append(f"to go back: {command_hints.build('upgrade-db --back')}")
    lines.append(f"ready at {outcome.url}")
    return "".join(f"{line}\n" for line in lines)


def render_return(outcome: steps.Outcome) -> str:
    """Render the outcome of a return to the previous version as text."""
    done = outcome.record
    lines = [f"the stack runs PostgreSQL {done.before} again, on the volume {done.former}"]
    lines += [f"it lacks: {line}" for line in outcome.lost]
    remove = command_hints.shell(f"podman volume rm {done.volume}")
    lines.append(
        f"the data of the upgraded version is in the volume {done.volume}; to remove it: {remove}"
    )
    lines.append(f"ready at {outcome.url}")
    return "".join(f"{line}\n" for line in lines)
