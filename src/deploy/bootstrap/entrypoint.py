"""Entry point of `build.py`, which reports an error as one line and an exit code.

Standard library only, because it runs before the commands' environment exists.
"""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import sys
import threading
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from deploy import command_hints, failure_hints, paths
from deploy.errors import DeployError, ExitCode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType
    from typing import TypeGuard

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Signals that end the program with an exception, so that clean-up code runs."""

_PROGRAM = "build.py"


def guard(command: Callable[[], int]) -> int:
    """Run a command and return its exit code; report a failure in one line.

    The exit code is that of a DeployError, 130 after Ctrl-C, or 128 + n after SIGTERM or SIGHUP.
    An unexpected exception is a bug: its traceback is written to a file that the line names, or
    printed if BUILD_DEBUG is set.
    """
    code = _run(command)
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            # The interpreter flushes the stream again when it exits.
            with Path(os.devnull).open("w") as nowhere:
                os.dup2(nowhere.fileno(), stream.fileno())
    return code


def write_output(text: str) -> None:
    """Write text to standard output and flush it; raise an OutputError on failure."""
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except OSError as error:
        raise OutputError(error) from None


class OutputError(Exception):
    """Failure to write to standard output; not an OSError, which can concern any file."""

    def __init__(self, cause: OSError) -> None:
        super().__init__(str(cause))
        self.cause = cause


def _run(command: Callable[[], int]) -> int:
    try:
        _catch_signals()
        _open_streams()
        code = command()
        write_output("")
    except DeployError as error:
        return _fail(str(error), error.code)
    except OutputError as error:
        return _explain_unwritten(error)
    except (_Terminated, KeyboardInterrupt) as error:
        return _explain_signal(error)
    except Exception as error:
        # A signal between two steps of a lock in `threading` becomes a RuntimeError.
        if isinstance(error, RuntimeError) and _is_signal(error.__context__):
            return _explain_signal(error.__context__)
        if os.environ.get("BUILD_DEBUG"):
            raise
        return _explain(error)
    return code


def _is_signal(error: BaseException | None) -> TypeGuard[_Terminated | KeyboardInterrupt]:
    return isinstance(error, _Terminated | KeyboardInterrupt)


def _explain_signal(error: _Terminated | KeyboardInterrupt) -> int:
    if isinstance(error, _Terminated):
        return _say_aside("terminated", error.code)
    return _say_aside("interrupted", ExitCode.INTERRUPTED)


class _Terminated(BaseException):
    """Termination by a signal; not an Exception, so that no handler swallows it."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


def _catch_signals() -> None:
    """Install handlers that turn stop signals into exceptions.

    A second Ctrl-C would interrupt the clean-up and leave machines and mounts behind, so it only
    prints a notice; a third one does interrupt it.
    """
    presses = 0

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        nonlocal presses
        presses += 1
        if presses == 2:  # noqa: PLR2004 - see above
            _say_aside("cleaning up; pressing Ctrl-C again skips the clean-up", 0)
            return
        raise KeyboardInterrupt

    def terminate(number: int, _frame: FrameType | None) -> NoReturn:
        signal.signal(number, signal.SIG_IGN)
        raise _Terminated(128 + number)

    signal.signal(signal.SIGINT, interrupt)
    signal.signal(signal.SIGTERM, terminate)
    # nohup ignores SIGHUP; keep it ignored.
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        signal.signal(signal.SIGHUP, terminate)
    # `venv.enter` blocked the signals before it replaced the process.
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)


@contextlib.contextmanager
def interrupts_postponed() -> Iterator[None]:
    """Defer stop signals to the end of the block; only the main thread receives them.

    Otherwise a signal while a program starts would lose its `Popen`, and nothing would stop it.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    handlers = {number: signal.getsignal(number) for number in SIGNALS}
    for number, handler in handlers.items():
        if callable(handler):
            signal.signal(number, lambda number, _frame: came.append(number))
    try:
        yield
    finally:
        for number, handler in handlers.items():
            if callable(handler):
                signal.signal(number, handler)
    for each in came:
        signal.raise_signal(each)


def _open_streams() -> None:
    """Open /dev/null for each standard stream that the caller closed (`>&-`)."""
    nowhere = Path(os.devnull)
    # The order is ascending, so that each stream gets its own descriptor number.
    sys.stdin = sys.stdin or open(os.open(nowhere, os.O_RDONLY), closefd=False)  # noqa: SIM115 - open until exit
    sys.stdout = sys.stdout or nowhere.open("w")
    sys.stderr = sys.stderr or nowhere.open("w")


def _say(line: str, code: int) -> int:
    with contextlib.suppress(OSError):
        sys.stderr.write(f"{_PROGRAM}: {line}\n")
        sys.stderr.flush()
    return code


def _say_aside(line: str, code: int) -> int:
    """Report a signal; not in a lab, where `build.py` on the host receives and reports it, too."""
    return code if command_hints.in_lab() else _say(line, code)


def _fail(message: str, code: int) -> int:
    return _say(f"error: {' '.join(message.split())}", code)


def _explain(error: Exception) -> int:
    """Report an unexpected exception in one line, and return the exit code."""
    if isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}:
        full = failure_hints.NO_SPACE
        return _fail(f"{_PROGRAM} {full.message} — {full.hint}", full.code)
    if isinstance(error, OSError) and error.errno in {errno.EACCES, errno.EPERM, errno.EROFS}:
        if error.filename is None:  # such as a signal to the process of another user
            refused = f"the operating system refused a call: {error.strerror}"
            return _fail(f"{refused} — BUILD_DEBUG=1 shows the traceback", ExitCode.CONFIG)
        return _fail(f"cannot use {error.filename}: {error.strerror}", ExitCode.CONFIG)
    record = paths.state_dir() / "traceback.log"
    try:
        record.parent.mkdir(parents=True, exist_ok=True)
        record.write_text("".join(traceback.format_exception(error)))
        where = f"the traceback is in {record}"
    except OSError:
        where = "BUILD_DEBUG=1 shows the traceback"
    return _fail(f"unexpected {type(error).__name__}: {error} — {where}", ExitCode.INTERNAL)


def _explain_unwritten(error: OutputError) -> int:
    if isinstance(error.cause, BrokenPipeError):
        return 128 + signal.SIGPIPE  # the reader closed the pipe, as `head` does
    return _fail(f"cannot write to standard output: {error.cause.strerror}", ExitCode.NO_SPACE)
