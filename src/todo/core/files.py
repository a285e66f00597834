"""Files of operator commands: named files, the standard streams, or inherited descriptors.

A program outside of the container can pass descriptors, but no paths. For example, `--descriptors
stdin=5,stdout=6,stderr=7,input=8,output=9,lifeline=10` replaces the standard streams, reads from 8
and writes to 9 whatever the file names are, and ends the command when the other end of pipe 10 is
closed.
"""

import contextlib
import os
import shutil
import signal
import stat
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO

from todo.core.exit import ExitCode, FatalError

STDIO = "-"
_STREAMS = {"stdin": 0, "stdout": 1, "stderr": 2}


class ReaderLeftError(Exception):
    """The reader of a pipe has left; a BrokenPipeError would look like a database error."""


class Files:
    """Opener of input and output files; descriptors `input` and `output` replace all paths."""

    def __init__(self, descriptors: Mapping[str, int] | None = None) -> None:
        self._descriptors = descriptors or {}

    @contextlib.contextmanager
    def reading(self, name: str) -> Iterator[IO[bytes]]:
        """Open an input file that can be read more than once; `-` is standard input.

        Raises:
            FatalError: The file cannot be read.
        """
        with contextlib.ExitStack() as opened:
            try:
                file = opened.enter_context(self._open(name))
                if not file.seekable():
                    spool = opened.enter_context(tempfile.TemporaryFile())
                    shutil.copyfileobj(file, spool)
                    spool.seek(0)
                    file = spool
            except OSError as error:
                message = f"cannot read {_shown(name, 'standard input')}: {error.strerror}"
                raise FatalError(ExitCode.USAGE, message) from None
            yield file

    def _open(self, name: str) -> IO[bytes]:
        if name == STDIO:
            return open(0, "rb", closefd=False)
        if "input" in self._descriptors:
            return open(self._descriptors["input"], "rb", closefd=False)
        return Path(name).open("rb")

    @contextlib.contextmanager
    def writing(self, name: str) -> Iterator[IO[bytes]]:
        """Open an output file; `-` is standard output. A regular file appears whole or not at all.

        Raises:
            FatalError: The file cannot be written.
        """
        try:
            if name == STDIO:
                yield sys.stdout.buffer
                sys.stdout.flush()
            elif "output" in self._descriptors:
                with open(self._descriptors["output"], "wb", closefd=False) as file:
                    yield file
            else:
                with _open_output(Path(name)) as file:
                    yield file
        except BrokenPipeError:
            raise ReaderLeftError from None
        except OSError as error:
            raise _cannot_write(name, error) from None


def write_output(text: str) -> None:
    """Write text to standard output and flush it.

    Raises:
        ReaderLeftError: The reader of the pipe has left.
        FatalError: The text cannot be written, for example because the disk is full.
    """
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        raise ReaderLeftError from None
    except OSError as error:
        raise _cannot_write(STDIO, error) from None


def write_error(text: str) -> None:
    """Write text to standard error; a failure to write is ignored."""
    with contextlib.suppress(OSError):
        sys.stderr.write(text)
        sys.stderr.flush()


def discard_unwritten() -> None:
    """Discard unwritten output, which the interpreter would try to write again when it exits."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            with open(os.devnull, "wb") as nowhere:  # noqa: PTH123 - beside a descriptor
                os.dup2(nowhere.fileno(), stream.fileno())


def put(file: IO[bytes], data: bytes) -> None:
    """Write to a file of an operator command.

    Raises:
        ReaderLeftError: The reader of the pipe has left.
    """
    try:
        file.write(data)
    except BrokenPipeError:
        raise ReaderLeftError from None


def receive(words: str) -> Files:
    """Use the descriptors that the value of `--descriptors` names.

    Raises:
        FatalError: The value is malformed, or a descriptor is not open.
    """
    try:
        pairs = (word.split("=") for word in words.split(","))
        descriptors = {name: int(number) for name, number in pairs}
        for name, number in _STREAMS.items():
            if name in descriptors:
                os.dup2(descriptors[name], number)
        if "lifeline" in descriptors:
            os.fstat(descriptors["lifeline"])
            arguments = (descriptors["lifeline"],)
            threading.Thread(target=_end_with, args=arguments, daemon=True).start()
    except (ValueError, OSError):
        message = "--descriptors: must name open descriptors, such as stdin=5,output=6"
        raise FatalError(ExitCode.USAGE, message) from None
    return Files(descriptors)


def _end_with(lifeline: int) -> None:
    """Interrupt this process when the other end of the pipe is closed."""
    while os.read(lifeline, 1):
        pass
    os.kill(os.getpid(), signal.SIGINT)


@contextlib.contextmanager
def _open_output(target: Path) -> Iterator[IO[bytes]]:
    """Open an output file; a regular file appears whole or not at all."""
    if not _is_regular(target):
        with open(os.open(target, os.O_WRONLY), "wb") as file:  # noqa: PTH123 - takes a descriptor
            yield file
        return
    # A symlink is kept; its target is replaced.
    target = target.resolve()
    # mkstemp makes the file private: an export contains the tasks of all users.
    descriptor, draft = tempfile.mkstemp(prefix=".", dir=target.parent)
    try:
        with open(descriptor, "wb") as file:  # noqa: PTH123 - takes a descriptor
            yield file
            file.flush()
            os.fsync(file.fileno())
        Path(draft).replace(target)
    finally:
        Path(draft).unlink(missing_ok=True)


def _is_regular(target: Path) -> bool:
    """Return whether the file is a regular file or missing, so that it may be replaced."""
    try:
        return stat.S_ISREG(target.stat().st_mode)
    except FileNotFoundError:
        return True


def _cannot_write(name: str, error: OSError) -> FatalError:
    message = f"cannot write {_shown(name, 'standard output')}: {error.strerror}"
    return FatalError(ExitCode.USAGE, message)


def _shown(name: str, stream: str) -> str:
    return stream if name == STDIO else name
