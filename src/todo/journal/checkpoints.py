"""Checkpoints: the heads of journals in a file. Kept elsewhere, they reveal a rewritten chain.

The file has one JSON object a line, sorted by owner.
"""

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import IO

import orjson

from todo.core.exit import ExitCode, FatalError


@dataclass(frozen=True, slots=True)
class Head:
    """Head of a journal: its last entry and that entry's hash.

    Attributes:
        owner: Owner of the journal.
        chain_id: ID of its chain.
        seq: Number of the last entry.
        hash: Hash of that entry, in hexadecimal.
    """

    owner: str
    chain_id: str
    seq: int
    hash: str


def write_heads(file: IO[bytes], heads: Iterable[Head]) -> None:
    """Write heads to a file."""
    file.writelines(orjson.dumps(asdict(head)) + b"\n" for head in heads)


def read_heads(name: str, file: IO[bytes]) -> dict[str, Head]:
    """Return the heads of a file, by owner.

    Raises:
        FatalError: It is not such a file; the message has its name and the line.
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
