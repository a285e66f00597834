"""Commands of the backend (`todo.admin`), run in its container with files of this machine.

The container cannot open paths of this machine, and the 16 MiB of its /tmp are too small for
copies of large files. Podman therefore passes the descriptors of opened files to the command.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import stat
import sys
import tempfile
from pathlib import Path
from typing import IO, TYPE_CHECKING, Self

from deploy import command_hints, process
from deploy.bootstrap.entrypoint import write_output
from deploy.errors import DeployError, ExitCode
from deploy.paths import REPO
from deploy.progress import say
from deploy.stack.services import BACKEND, container_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    Within = Callable[[Sequence[str]], Sequence[str]]

_CONTAINER = container_of(BACKEND)
_INSTANCES = f"^{_CONTAINER}(-[0-9]+)?$"
_ADMIN = ("-m", "todo.admin")
_CALLED = ("--as", "build.py admin")
_STDIO = "-"
_BAD_FILE = 64
"""Exit code for an unusable file, as in `todo.admin`; its code 2 means a failed verification."""


def run(words: Sequence[str], *, within: Within = list, lab: str = "") -> int:
    """Run a command of `todo.admin` in the running backend and return its exit code.

    Args:
        words: Command and arguments, with paths of this machine.
        within: Function that returns the command line for a program on the stack's machine.
        lab: Switch that selects the stack's machine, for the commands in messages.

    Raises:
        DeployError: A file cannot be opened, or the backend is not running.
    """
    checked = _run_here(["--plan", *words])
    if checked.returncode != 0 or not checked.stdout.startswith("{"):
        # The words request help, or have a usage error.
        write_output(checked.stdout)
        if checked.stderr:
            say(checked.stderr.rstrip("\n"))
        return checked.returncode
    named = json.loads(checked.stdout)
    with contextlib.ExitStack() as opened:
        descriptors = {
            name: opened.enter_context(_duplicate(number))
            for number, name in enumerate(("stdin", "stdout", "stderr"))
        }
        if named["input"] == _STDIO:
            descriptors["stdin"] = opened.enter_context(_seekable(descriptors["stdin"]))
        elif named["input"]:
            descriptors["input"] = opened.enter_context(_input(Path(named["input"])))
        output = None
        if named["output"] not in {None, _STDIO}:
            output = opened.enter_context(_Output(Path(named["output"])))
            descriptors["output"] = output.fileno()
        container = _find_container(within, lab)
        code = process.run_held(
            lambda lifeline: within(_exec(container, words, {**descriptors, "lifeline": lifeline})),
            list(descriptors.values()),
        )
        if output is not None and code == 0:
            output.keep()
        return code


def get_help(*command: str) -> str:
    """Return the help of `todo.admin`, or of one of its commands.

    Raises:
        ToolError: The command is unknown.
    """
    return _run_here([*command, "--help"], check=True).stdout


def token(
    subject: str,
    *,
    days: str | None = None,
    scopes: Sequence[str] = (),
    name: str | None = None,
    writes_per_hour: str | None = None,
    within: Within = list,
) -> str:
    """Issue a bearer token in the running backend.

    Args:
        subject: User ID.
        days: Days until the token expires; None uses the default of `todo.admin`.
        scopes: Scopes of the token; empty means all.
        name: Name of an API token, which can be listed and revoked; None for a JSON Web Token.
        writes_per_hour: Maximum number of changes per hour with the API token.
        within: As for `run`.

    Raises:
        DeployError: The backend is not running, or an argument is invalid.
    """
    container = _find_container(within, "")
    words = ["token", f"--subject={subject}", *(f"--scope={scope}" for scope in scopes)]
    options = {"days": days, "name": name, "writes-per-hour": writes_per_hour}
    words += [f"--{option}={value}" for option, value in options.items() if value is not None]
    return issue(within(["podman", "exec", container, "/usr/bin/python3", *_ADMIN, *words]))


def issue(argv: Sequence[str], *, env: Mapping[str, str] | None = None) -> str:
    """Run `todo.admin token`, with additional environment variables, and return the token.

    Raises:
        DeployError: An argument is invalid, or the program failed.
    """
    try:
        return process.run(argv, env=env).stdout.strip()
    except process.ToolError as error:
        if error.completed is None or not error.completed.stderr:
            raise
        said = error.completed.stderr.splitlines()[-1].removeprefix("todo.admin: error: ")
        message = f"no token: {said.partition(' — see: ')[0]}"
        raise DeployError(message, code=ExitCode.USAGE) from None


def _run_here(words: Sequence[str], *, check: bool = False) -> process.Completed:
    """Run `todo.admin` of this checkout, for commands that need no installed package."""
    argv = [sys.executable, *_ADMIN, *_CALLED, *words]
    return process.run(argv, env={"PYTHONPATH": str(REPO / "src")}, check=check)


def _exec(container: str, words: Sequence[str], descriptors: dict[str, int]) -> list[str]:
    numbers = ",".join(str(number) for number in descriptors.values())
    handed = ",".join(f"{name}={number}" for name, number in descriptors.items())
    return [
        "podman",
        "exec",
        f"--preserve-fd={numbers}",
        container,
        "/usr/bin/python3",
        *_ADMIN,
        *_CALLED,
        "--descriptors",
        handed,
        *words,
    ]


def _find_container(within: Within, lab: str) -> str:
    """Return the container of the first running instance; raise DeployError if none is running."""
    listing = ["podman", "ps", "--format={{.Names}}", f"--filter=name={_INSTANCES}"]
    running = process.run(within(listing), check=False).stdout.split()
    if not running:
        raise DeployError(
            "the backend is not running, and its commands run inside it",
            hint=f"{command_hints.build(f'status{lab}')} says why, "
            f"{command_hints.build(f'up{lab}')} starts it",
            code=ExitCode.UNAVAILABLE,
        )
    return min(running)


@contextlib.contextmanager
def _duplicate(number: int) -> Iterator[int]:
    """Duplicate a standard stream, because Podman passes only descriptors from 3 upwards."""
    copy = fcntl.fcntl(number, fcntl.F_DUPFD_CLOEXEC, 3)
    try:
        yield copy
    finally:
        os.close(copy)


@contextlib.contextmanager
def _seekable(descriptor: int) -> Iterator[int]:
    """Yield a seekable descriptor with the same content."""
    with os.fdopen(descriptor, "rb", closefd=False) as given:
        if given.seekable():
            yield descriptor
            return
        with tempfile.TemporaryFile() as spool:
            shutil.copyfileobj(given, spool)
            spool.seek(0)
            yield spool.fileno()


@contextlib.contextmanager
def _input(path: Path) -> Iterator[int]:
    try:
        file = path.open("rb")
    except OSError as error:
        raise DeployError(f"cannot read {path}: {error.strerror}", code=_BAD_FILE) from None
    with file, _seekable(file.fileno()) as descriptor:
        yield descriptor


class _Output:
    """Output file, replaced atomically if it is a regular file, otherwise written directly."""

    def __init__(self, target: Path) -> None:
        self._target = target
        self._draft: Path | None = None
        self._file: IO[bytes]

    def __enter__(self) -> Self:
        with self._plain_errors():
            if self._is_regular():
                # Replace the target of a symbolic link, not the link.
                self._target = self._target.resolve()
                # Exports contain all users' tasks, so only this user may read them (mkstemp).
                descriptor, name = tempfile.mkstemp(prefix=".", dir=self._target.parent)
                self._draft = Path(name)
            else:
                descriptor = os.open(self._target, os.O_WRONLY)
            self._file = os.fdopen(descriptor, "wb")
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        if self._draft is not None:
            self._draft.unlink(missing_ok=True)

    def fileno(self) -> int:
        """Return the descriptor to write to."""
        return self._file.fileno()

    def keep(self) -> None:
        """Move the complete file to its path."""
        if self._draft is not None:
            with self._plain_errors():
                os.fsync(self.fileno())
                self._draft.replace(self._target)

    def _is_regular(self) -> bool:
        """Return whether the file can be replaced, because it is regular or missing."""
        try:
            return stat.S_ISREG(self._target.stat().st_mode)
        except FileNotFoundError:
            return True

    @contextlib.contextmanager
    def _plain_errors(self) -> Iterator[None]:
        named = self._target
        try:
            yield
        except OSError as error:
            message = f"cannot write {named}: {error.strerror}"
            raise DeployError(message, code=_BAD_FILE) from None
