"""Execution of external programs with logging, timeouts and cleanup.

Every child runs in its own session (except for `interact` on a terminal). So Ctrl-C reaches only
this process, which then ends the child's whole process group: no build or virtual machine
outlives the command that started it.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import logging
import os
import shlex
import signal
import subprocess
import threading
import time
from typing import TYPE_CHECKING, Any, cast

from plumbum import CommandNotFound, local

from deploy import command_hints, failure_hints, user_session
from deploy.bootstrap.entrypoint import interrupts_postponed
from deploy.errors import DeployError, ExitCode

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
    from pathlib import Path

    from deploy.progress import Step

log = logging.getLogger(__name__)

_TAIL_LINES = 40
_TIMEOUT_S = 600.0
"""Default timeout: more than ten times what any program needs on an idle machine."""
_TERM_GRACE_S = 15.0
_GROUP_GRACE_S = 5.0
_LEAVE_GRACE_S = 120.0


@dataclasses.dataclass(frozen=True)
class Completed:
    """Command line, exit code and output of a finished program."""

    argv: tuple[str, ...]
    returncode: int
    stdout: str
    stderr: str


class ToolError(DeployError):
    """Failure of a program; `completed` is None if it is not installed or timed out."""

    def __init__(
        self, message: str, *, hint: str, code: ExitCode, completed: Completed | None = None
    ) -> None:
        super().__init__(message, hint=hint, code=code)
        self.completed = completed


def find(tool: str) -> str | None:
    """Return the path of a program on PATH or in the sbin folders, or None."""
    for candidate in (tool, f"/usr/sbin/{tool}", f"/sbin/{tool}"):
        with contextlib.suppress(CommandNotFound):
            return str(local.which(candidate))
    return None


def run(
    argv: Sequence[str],
    *,
    check: bool = True,
    timeout_s: float = _TIMEOUT_S,
    stdin: str | None = None,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> Completed:
    """Run a program to completion and return its exit code and output.

    Args:
        argv: Program and arguments; no shell is involved.
        check: Whether a nonzero exit code raises.
        timeout_s: Seconds after which the program's process group is ended.
        stdin: Text for its standard input; None for an empty one.
        env: Variables to add to this process's environment.
        cwd: Working folder.

    Raises:
        ToolError: The program is not installed, timed out, or failed with `check` set.
    """
    with _started(argv, stdin=stdin is not None, env=env, cwd=cwd) as process:
        try:
            stdout, stderr = process.communicate(stdin, timeout=timeout_s)
        except subprocess.TimeoutExpired:
            raise _timeout_error(argv, timeout_s) from None
    completed = Completed(tuple(argv), process.returncode, stdout, stderr)
    if check and completed.returncode != 0:
        raise _failure_error(completed, (stderr or stdout).splitlines())
    return completed


def stream(
    argv: Sequence[str],
    step: Step,
    *,
    timeout_s: float,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> Completed:
    """Run a long program, showing its latest line of output as the step's detail.

    Arguments are those of `run`. The result has standard error merged into standard output.

    Raises:
        ToolError: The program is not installed, timed out or failed.
    """
    lines: list[str] = []
    with _started(argv, stdin=False, env=env, cwd=cwd, merge=True) as process:
        expired = threading.Event()

        def expire() -> None:
            expired.set()
            _end(process)

        timer = threading.Timer(timeout_s, expire)
        timer.start()
        try:
            for line in process.stdout or ():
                log.debug("%s", line.rstrip())
                step.note(line)
                lines.append(line.rstrip())
            process.wait()
        finally:
            timer.cancel()
    if expired.is_set():
        raise _timeout_error(argv, timeout_s)
    completed = Completed(tuple(argv), process.returncode, "\n".join(lines), "")
    if completed.returncode != 0:
        raise _failure_error(completed, lines)
    return completed


def interact(
    argv: Sequence[str], *, env: Mapping[str, str] | None = None, cwd: Path | None = None
) -> int:
    """Run a program on this terminal and return its exit code.

    On a terminal, the child stays in this process's group and receives Ctrl-C from the terminal.
    Elsewhere, it runs in its own session, and this process forwards the signal to its group. In
    both cases, this process waits for the child to exit.
    """
    log.debug("run: %s", shlex.join(argv))
    terminal = os.isatty(0)
    process: subprocess.Popen[bytes] | None = None
    try:
        with interrupts_postponed():
            process = subprocess.Popen(
                argv, env=_environment(env), cwd=cwd, start_new_session=not terminal
            )
        return process.wait()
    except FileNotFoundError:
        raise missing(argv[0]) from None
    except BaseException as error:
        if process is not None:
            _leave(process, terminal=terminal, interrupted=isinstance(error, KeyboardInterrupt))
        raise


def follow(argv: Sequence[str]) -> Generator[str, None, None]:
    """Run a program and yield its lines of output; raise a ToolError if it fails."""
    with _started(argv, stdin=False, env=None, cwd=None, merge=True) as process:
        lines: collections.deque[str] = collections.deque(maxlen=_TAIL_LINES)
        try:
            for line in process.stdout or ():
                lines.append(line.rstrip("\n"))
                yield lines[-1]
        finally:
            _end(process)
    if process.returncode > 0:
        raise _failure_error(Completed(tuple(argv), process.returncode, "", ""), lines)


def run_held(make_argv: Callable[[int], Sequence[str]], pass_fds: Sequence[int]) -> int:
    """Run a program that stops when this process closes a pipe; return its exit code.

    Signals do not reach the processes to which some programs delegate their work. Such a process
    can watch the pipe, which closes however this process exits. `make_argv` gets the read end.

    Raises:
        ToolError: The program is not installed.
    """
    reader, writer = os.pipe()
    with (
        os.fdopen(reader, "rb") as theirs,
        os.fdopen(writer, "wb") as ours,
        beside(make_argv(reader), pass_fds=(*pass_fds, reader)) as process,
    ):
        theirs.close()
        try:
            return process.wait()
        except BaseException:
            ours.close()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=_LEAVE_GRACE_S)
            raise


@contextlib.contextmanager
def beside(
    argv: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    pass_fds: Sequence[int] = (),
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server during the block, with this process's output streams.

    At the end, the server gets SIGTERM and has two minutes to stop before it is killed.

    Raises:
        ToolError: The program is not installed.
    """
    log.debug("run: %s", shlex.join(argv))
    if find(argv[0]) is None:
        raise missing(argv[0])
    process: subprocess.Popen[bytes] | None = None
    try:
        with interrupts_postponed():
            process = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                env=_environment(env),
                cwd=cwd,
                pass_fds=pass_fds,
                start_new_session=True,
            )
        yield process
    finally:
        if process is not None:
            if process.poll() is None:
                _leave(process, terminal=False, interrupted=False)
            _signal_group(process, signal.SIGKILL)


def missing(tool: str) -> ToolError:
    """Return the error for a program that is not installed."""
    return ToolError(
        f"{_name([tool])} is not installed",
        hint="python3 build.py doctor shows its package",
        code=ExitCode.UNAVAILABLE,
    )


@contextlib.contextmanager
def _started(
    argv: Sequence[str],
    *,
    stdin: bool,
    env: Mapping[str, str] | None,
    cwd: Path | None,
    merge: bool = False,
) -> Iterator[subprocess.Popen[str]]:
    program = find(argv[0])
    if program is None:
        raise missing(argv[0])
    log.debug("run: %s", shlex.join(argv))
    # plumbum returns a proxy with all attributes of Popen.
    bound = local[program][tuple(argv[1:])]
    process: subprocess.Popen[str] | None = None
    try:
        with interrupts_postponed():
            process = cast(
                "subprocess.Popen[str]",
                bound.popen(
                    stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT if merge else subprocess.PIPE,
                    env=_environment({"LC_ALL": "C.UTF-8", **(env or {})}),
                    cwd=str(cwd or _find_folder()),
                    start_new_session=True,
                    text=True,
                    errors="replace",
                ),
            )
        yield process
    except BaseException:
        if process is not None:
            _end(process)
        raise
    finally:
        for pipe in (process.stdin, process.stdout, process.stderr) if process else ():
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()


def _find_folder() -> str:
    """Return the current folder, or `/` if `sudo -u` left one that this user cannot enter."""
    return "." if os.access(".", os.X_OK) else "/"


def _environment(added: Mapping[str, str] | None) -> dict[str, str]:
    return {**os.environ, **user_session.find_missing(os.environ), **(added or {})}


def _leave(process: subprocess.Popen[bytes], *, terminal: bool, interrupted: bool) -> None:
    """Signal a child to stop, and wait for it; kill it after `_LEAVE_GRACE_S`."""
    send = process.send_signal if terminal else lambda number: _signal_group(process, number)
    if terminal and interrupted:
        # The terminal has already signaled it; a second signal would interrupt its clean-up.
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=_TERM_GRACE_S)
            return
    send(signal.SIGINT if interrupted else signal.SIGTERM)
    try:
        process.wait(timeout=_LEAVE_GRACE_S)
    except subprocess.TimeoutExpired:
        send(signal.SIGKILL)
        process.wait()


def _end(process: subprocess.Popen[str]) -> None:
    """End the child's process group (SIGINT, SIGTERM, then SIGKILL) and reap the child."""
    for number in (signal.SIGINT, signal.SIGTERM):
        if process.poll() is None:
            _signal_group(process, number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=_TERM_GRACE_S)
    # Descendants of the child may ignore SIGINT, like background jobs of a shell.
    deadline = time.monotonic() + _GROUP_GRACE_S
    while _signal_group(process, 0) and time.monotonic() < deadline:
        time.sleep(0.02)
    _signal_group(process, signal.SIGKILL)
    process.wait()


def _signal_group(process: subprocess.Popen[Any], number: int) -> bool:
    """Signal the child's process group; return False if no process is left in it."""
    try:
        os.killpg(process.pid, number)
    except ProcessLookupError:
        return False
    return True


def _name(argv: Sequence[str]) -> str:
    return argv[0].rpartition("/")[2]


def _timeout_error(argv: Sequence[str], timeout_s: float) -> ToolError:
    return ToolError(
        f"{_name(argv)} did not end within {timeout_s:g} s",
        hint=f"to replay: {command_hints.shell(shlex.join(argv))}",
        code=ExitCode.UNAVAILABLE,
    )


def _failure_error(completed: Completed, lines: Sequence[str]) -> ToolError:
    tail = collections.deque((line for line in lines if line.strip()), maxlen=_TAIL_LINES)
    for line in tail:
        log.info("%s", line)
    tool = _name(completed.argv)
    symptom = failure_hints.find("\n".join(tail))
    if symptom is not None:
        return ToolError(
            f"{tool} {symptom.message}",
            hint=symptom.hint,
            code=symptom.code,
            completed=completed,
        )
    end = f"failed with exit code {completed.returncode}"
    if (number := -completed.returncode) > 0:
        end = f"was ended by signal {number} ({signal.strsignal(number)})"
    return ToolError(
        f"{tool} {end}: {tail[-1].strip()}" if tail else f"{tool} {end}, without any output",
        hint=f"to replay: {command_hints.shell(shlex.join(completed.argv))}",
        code=ExitCode.FAILED,
        completed=completed,
    )
