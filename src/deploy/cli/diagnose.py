"""`build.py diagnose`."""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path

from plumbum import cli

from deploy import atomic_write, progress
from deploy.bootstrap.entrypoint import write_output
from deploy.cli.stack_command import StackCommand
from deploy.errors import DeployError, ExitCode
from deploy.stack import diagnose, in_lab, owners

_SUFFIX = ".tar.gz"
_PRIVATE = 0o600
_KB = 1000


class Diagnose(StackCommand):
    """Write one archive for a bug report: state, settings, units, versions, logs; no secrets."""

    output = cli.SwitchAttr(
        ["-o", "--output"],
        Path,
        argname="FILE",
        help="path of the archive (default: in the current folder)",
    )
    lines = cli.SwitchAttr(
        ["-n", "--lines"],
        cli.Range(0, 1_000_000),
        default=diagnose.DEFAULT_LINES,
        help="number of log lines per unit",
    )

    def main(self) -> int:
        """Write the archive, and print its content."""
        at = datetime.now().astimezone()
        path = (self.output or Path(diagnose.default_name(at))).absolute()
        _refuse(path)
        lab = self._find_lab()
        with progress.step("Collecting diagnostics") as step:
            if lab is not None:
                archive = lab.diagnose(int(self.lines))
            else:
                entries = diagnose.collect(int(self.lines), step)
                folder = diagnose.default_name(at).removesuffix(_SUFFIX)
                archive = diagnose.pack(folder, entries, at)
        _write(path, archive)
        write_output(render(path, archive))
        return ExitCode.OK

    def _find_lab(self) -> in_lab.LabStack | None:
        """Return the lab to diagnose, or None to diagnose this host.

        If no lab is running, the archive of this host shows why.
        """
        lab = self.trial()
        if lab is None or self.lab or lab.is_up():
            return lab
        # For root, the lab's error names the stack's owner, whose diagnosis is more complete.
        return lab if os.geteuid() == 0 and owners.find_owners() else None


def render(path: Path, archive: bytes) -> str:
    """Render the summary: path and content of the archive, and the command to review it."""
    contents = diagnose.read_contents(archive)
    width = max(len(name) for name, _ in contents)
    lines = [f"{path} ({_size(len(archive))}) contains:"]
    lines += [f"  {name:<{width}}  {_size(size):>8}" for name, size in contents]
    lines.append("Passwords, keys and tokens were removed; user and host names were not.")
    lines.append(f"Review it before you send it: tar -xzf {path}")
    return "\n".join([*lines, ""])


def _refuse(path: Path) -> None:
    """Raise DeployError early if the archive cannot be written, as collecting takes minutes."""
    if path.exists():
        raise _unwritable(path, "it exists")
    if not path.parent.is_dir():
        raise _unwritable(path, "its folder does not exist")


def _write(path: Path, archive: bytes) -> None:
    try:
        atomic_write.write_bytes(path, archive, mode=_PRIVATE, overwrite=False)
    except FileExistsError:
        raise _unwritable(path, "it exists") from None
    except OSError as error:
        raise _unwritable(path, str(error.strerror)) from None


def _unwritable(path: Path, why: str) -> DeployError:
    return DeployError(
        f"cannot write {path}: {why}", hint="name another file: --output FILE", code=ExitCode.USAGE
    )


def _size(count: int) -> str:
    return f"{count / _KB:.1f} kB"
