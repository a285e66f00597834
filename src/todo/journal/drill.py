"""Restore drill: checks that a restored copy has all changes that precede the restore.

The copy's chains and tasks are verified, and each chain is compared with the live one: its last
entry must have the hash of the live entry, and further live entries must be newer than the start of
the restore. Comparing only the numbers of rows would not reveal a lost change.
"""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, func, select, text

from todo.db.statement import Row, Statement
from todo.db.tables import account, journal, task, task_list
from todo.journal.checkpoints import Head
from todo.journal.verify import JournalReader, Mismatch, verify

_PAGE = 1000
_HEADS = Statement(
    select(account.c.owner, account.c.chain_id, account.c.seq, account.c.hash, account.c.created_at)
    .where(account.c.owner > bindparam("after"))
    .order_by(account.c.owner)
    .limit(_PAGE)
)
_ENTRIES = Statement(
    select(journal.c.seq, journal.c.hash, journal.c.at)
    .where(
        journal.c.owner == bindparam("owner"),
        journal.c.seq >= bindparam("seq"),
        journal.c.seq <= bindparam("seq") + 1,
    )
    .order_by(journal.c.seq)
)
_COUNTED = {"accounts": account, "lists": task_list, "tasks": task, "entries": journal}
_ROWS = Statement(
    select(*(select(func.count()).select_from(t).scalar_subquery() for t in _COUNTED.values()))
)
_WAL_FILE = Statement(text("SELECT pg_walfile_name(pg_current_wal_lsn())"))


@dataclass(slots=True)
class Comparison:
    """Result of the comparison of a restored copy with the live database.

    `rpo_s` is the age in seconds, at the start of the restore, of the oldest missing change.
    """

    journals: int = 0
    entries: int = 0
    rpo_s: float = 0.0
    rows: dict[str, int] = field(default_factory=dict)
    findings: list[Mismatch] = field(default_factory=list)


async def find_wal_file(live: JournalReader) -> str:
    """Return the name of the WAL file that the live database currently writes."""
    async with live.reading() as session:
        (row,) = await session.fetch(_WAL_FILE, {})
    return str(row[0])


async def compare(
    restored: JournalReader, live: JournalReader, began: datetime, max_rpo_s: float
) -> Comparison:
    """Verify a restored copy and compare it with the live database.

    Changes that were at most `max_rpo_s` seconds old when the restore began may be missing.
    """
    result = Comparison()
    copied = {row[0]: row async for row in _heads(restored)}
    expected: dict[str, Head] = {}
    gone = set(copied)
    async for row in _heads(live):
        owner, chain_id, _, _, created_at = row
        gone.discard(owner)
        found = copied.get(owner)
        if found is None:
            if (age := _age(began, created_at)) > 0:
                _add_missing(result, owner, 1, age, max_rpo_s)
            continue
        head = await _find_live_head(result, live, found, row, began, max_rpo_s)
        expected[owner] = Head(owner, str(chain_id), int(found[2]), head)
    for owner in sorted(gone):
        what = "the copy has this journal, but the live database does not"
        result.findings.append(Mismatch(owner, 0, what))
    async for each in verify(restored, heads=expected, with_state=True):
        result.journals += 1
        result.entries += each.entries
        result.findings += each.findings
    async with restored.reading() as session:
        (counts,) = await session.fetch(_ROWS, {})
    result.rows = dict(zip(_COUNTED, map(int, counts), strict=True))
    return result


async def _find_live_head(
    result: Comparison,
    live: JournalReader,
    found: Row,
    head: Row,
    began: datetime,
    max_rpo_s: float,
) -> str:
    """Return the live hash of the copy's last entry; add any differences from it on to `result`."""
    owner, seq = found[0], int(found[2])
    if int(head[2]) < seq:
        what = f"the copy ends here, but the live journal ends with entry {head[2]}"
        result.findings.append(Mismatch(owner, seq, what))
    if int(head[2]) == seq:
        return bytes(head[3]).hex()
    async with live.reading() as session:
        rows = await session.fetch(_ENTRIES, {"owner": owner, "seq": seq})
    by_number: Mapping[int, Row] = {int(row[0]): row for row in rows}
    following = by_number.get(seq + 1)
    if following is not None and (age := _age(began, following[2])) > 0:
        _add_missing(result, owner, seq + 1, age, max_rpo_s)
    there = by_number.get(seq)
    # If the live journal lacks this entry, there is already a finding.
    return bytes((there or found)[1 if there else 3]).hex()


def _add_missing(result: Comparison, owner: str, seq: int, age_s: float, max_rpo_s: float) -> None:
    result.rpo_s = max(result.rpo_s, age_s)
    if age_s > max_rpo_s:
        what = f"is missing from the copy, although it was {age_s:.0f} s old at the restore's start"
        result.findings.append(Mismatch(owner, seq, what))


def _age(began: datetime, at: Any) -> float:  # noqa: ANN401 - type depends on the driver
    moment = datetime.fromisoformat(at) if isinstance(at, str) else at
    return float((began - moment).total_seconds())


async def _heads(source: JournalReader) -> AsyncIterator[Row]:
    last = ""
    while True:
        async with source.reading() as session:
            rows = await session.fetch(_HEADS, {"after": last})
        for row in rows:
            yield row
        if len(rows) < _PAGE:
            return
        last = rows[-1][0]
