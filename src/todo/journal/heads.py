"""Heads of journals in a file: what to keep elsewhere, so that nobody can rewrite a chain unseen.

One JSON object a line, in the order of owners.
"""

import contextlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import orjson

from todo.fatal import ExitCode, FatalError


@dataclass(frozen=True, slots=True)
class Head:
    """Where a journal ended.

    Attributes:
        owner: Whose journal.
        chain_id: Name of its chain.
        seq: Number of its last entry.
        hash: Of that entry, in hexadecimal digits.
    """

    owner: str
    chain_id: str
    seq: int
    hash: str


def write_heads(path: Path, heads: Iterable[Head]) -> None:
    """Write heads to a file, which appears whole or not at all.

    Raises:
        FatalError: It cannot be written.
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with draft.open("wb") as file:
            file.writelines(orjson.dumps(asdict(head)) + b"\n" for head in heads)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            draft.unlink(missing_ok=True)
        message = f"cannot write {path}: {error.strerror}"
        raise FatalError(ExitCode.USAGE, message) from None


def read_heads(path: Path) -> dict[str, Head]:
    """Return the heads of a file, by owner.

    Raises:
        FatalError: It cannot be read, or is no such file; the message has the line.
    """
    try:
        with path.open("rb") as file:
            return {head.owner: head for head in _parse(path, file)}
    except OSError as error:
        message = f"cannot read {path}: {error.strerror}"
        raise FatalError(ExitCode.USAGE, message) from None


def _parse(path: Path, lines: Iterable[bytes]) -> Iterator[Head]:
    for number, line in enumerate(lines, 1):
        try:
            head = Head(**orjson.loads(line))
        except (orjson.JSONDecodeError, TypeError):
            head = None
        if head is None or not _is_sound(head):
            message = f"{path}, line {number}: no head of a journal, as --export-head writes them"
            raise FatalError(ExitCode.USAGE, message)
        yield head


def _is_sound(head: Head) -> bool:
    texts = (head.owner, head.chain_id, head.hash)
    return all(isinstance(text, str) for text in texts) and type(head.seq) is int
