"""Checkpoints: files with heads of journals, which reveal a rewritten chain if kept elsewhere.

A file has one JSON object per line, sorted by owner.
"""

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import IO

import orjson

from todo.core.exit import ExitCode, FatalError


@dataclass(frozen=True, slots=True)
class Head:
    """Head of a journal: sequence number and hexadecimal hash of its last entry."""

    owner: str
    chain_id: str
    seq: int
    hash: str


def write_heads(file: IO[bytes], heads: Iterable[Head]) -> None:
    """Write heads to a file."""
    file.writelines(orjson.dumps(asdict(head)) + b"\n" for head in heads)


def read_heads(name: str, file: IO[bytes]) -> dict[str, Head]:
    """Return the heads in a file by owner; `name` is the file's name for errors.

    Raises:
        FatalError: A line of the file is not a head.
    """
    return {head.owner: head for head in _parse(name, file)}


def _parse(name: str, lines: Iterable[bytes]) -> Iterator[Head]:
    for number, line in enumerate(lines, 1):
        try:
            head = Head(**orjson.loads(line))
        except (orjson.JSONDecodeError, TypeError):
            head = None
        if head is None or not _is_sound(head):
            message = f"{name}, line {number}: is not a journal head as written by --export-head"
            raise FatalError(ExitCode.USAGE, message)
        yield head


def _is_sound(head: Head) -> bool:
    texts = (head.owner, head.chain_id, head.hash)
    return all(isinstance(text, str) for text in texts) and type(head.seq) is int
