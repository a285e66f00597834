"""Findings of the verification: none in an intact chain, and one for each alteration."""

import dataclasses
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from todo.journal.checkpoints import Head
from todo.journal.verify import Chain, VerificationResult
from todo.writes.hash_chain import GENESIS, SALT_BYTES, Entry, commit, link

CHAIN = UUID(int=7)
TEXT = st.text(max_size=20)
MAYBE = st.none() | TEXT
ENTRIES = st.lists(
    st.builds(
        Entry,
        at=st.datetimes().map(lambda at: at.isoformat(timespec="microseconds") + "+00:00"),
        actor=TEXT.filter(bool),
        operation=st.sampled_from(["create", "update", "delete", "remind"]),
        kind=st.sampled_from(["task", "list"]),
        entity_id=TEXT,
        token_id=MAYBE,
        agent=MAYBE,
        model=MAYBE,
        run_id=MAYBE,
        list_id=MAYBE,
        before=MAYBE,
        after=MAYBE,
    ),
    min_size=1,
    max_size=8,
)
COLUMNS = (
    *("seq", "at", "salt", "commitment", "hash", "actor", "token_id", "agent", "model", "run_id"),
    *("operation", "kind", "entity_id", "list_id", "before", "after"),
)
Rows = list[dict[str, Any]]


def chain(entries: list[Entry]) -> Rows:
    rows = []
    head = GENESIS
    for seq, entry in enumerate(entries, 1):
        salt = bytes([seq]) * SALT_BYTES
        commitment = commit(salt, entry)
        head = link(head, CHAIN, seq, entry.at, commitment)
        hashes = {"seq": seq, "salt": salt, "commitment": commitment, "hash": head}
        rows.append(dataclasses.asdict(entry) | hashes)
    return rows


def find(rows: Rows, seq: int, head: bytes, exported: Head | None = None) -> list[int]:
    """Verify rows; return the numbers of the entries that something was found with."""
    result = VerificationResult()
    checked = Chain("alice", CHAIN, exported, result)
    for row in rows:
        checked.check(tuple(row[name] for name in COLUMNS))
    checked.expect(seq, head)
    checked.finish(seq)
    return sorted({finding.seq for finding in result.findings})


def plain(count: int) -> Rows:
    return chain(
        [
            Entry(
                at=f"2026-11-25T10:00:0{n}.000000+00:00",
                actor="alice",
                operation="create",
                kind="task",
                entity_id=str(n),
                after="{}",
            )
            for n in range(count)
        ]
    )


@given(ENTRIES)
def test_a_chain_that_nobody_touched_holds(entries: list[Entry]) -> None:
    rows = chain(entries)

    assert find(rows, len(rows), rows[-1]["hash"]) == []


@given(ENTRIES, st.data())
def test_whatever_is_altered_is_found_in_its_entry(
    entries: list[Entry], data: st.DataObject
) -> None:
    rows = chain(entries)
    head = rows[-1]["hash"]
    row = data.draw(st.sampled_from(rows))
    name = data.draw(st.sampled_from([name for name in COLUMNS if name != "seq"]))
    if name == "at":
        row[name] = "1999-12-31T23:59:59.000000+00:00"
    elif isinstance(row[name], bytes):
        row[name] = bytes(32)
    else:
        row[name] = f"{row[name]}x"

    assert find(rows, len(rows), head)[0] == row["seq"]


@given(ENTRIES, st.data())
def test_a_missing_entry_is_named(entries: list[Entry], data: st.DataObject) -> None:
    rows = chain(entries)
    head = rows[-1]["hash"]
    gone = data.draw(st.sampled_from(rows))
    rows.remove(gone)

    assert gone["seq"] in find(rows, len(entries), head)


def test_an_altered_hash_is_named_once() -> None:
    rows = plain(5)
    rows[2]["hash"] = bytes(32)

    assert find(rows, 5, rows[-1]["hash"]) == [3]


ALTERATIONS: dict[str, tuple[Callable[[Rows], None], list[int]]] = {
    "two swapped": (lambda rows: swap(rows, 2, 3), [3, 4]),
    "one put in behind the end": (lambda rows: rows.append(rows[4] | {"seq": 6}), [6]),
    "the last gone": (lambda rows: rows.__delitem__(4), [5]),
    "the first gone": (lambda rows: rows.__delitem__(0), [1]),
    "all gone": (lambda rows: rows.clear(), [1]),
    "content erased": (lambda rows: erase(rows[1]), [2]),
    "a time that is none": (lambda rows: rows[1].update(at="yesterday"), [2]),
}


def swap(rows: Rows, one: int, other: int) -> None:
    rows[one], rows[other] = rows[other] | {"seq": one + 1}, rows[one] | {"seq": other + 1}


def erase(row: dict[str, Any]) -> None:
    row.update({name: None for name in COLUMNS if name not in {"seq", "at", "commitment", "hash"}})


@pytest.mark.parametrize("name", ALTERATIONS)
def test_an_alteration_is_named(name: str) -> None:
    rows = plain(5)
    head = rows[-1]["hash"]
    alter, named = ALTERATIONS[name]
    alter(rows)

    found = find(rows, 5, head)
    assert found[: len(named)] == named


def test_content_is_erased_with_the_account_alone() -> None:
    entries = [
        Entry(at="2026-01-01T00:00:00+00:00", actor="a", operation=op, kind=kind, entity_id="a")
        for op, kind in [("create", "task"), ("delete", "account"), ("create", "task")]
    ]
    rows = chain(entries)
    erase(rows[0])
    assert find(rows, 3, rows[-1]["hash"]) == []

    erase(rows[2])
    assert find(rows, 3, rows[-1]["hash"]) == [3]


def test_a_chain_that_was_rewritten_holds_but_for_an_exported_head() -> None:
    old, new = plain(5), plain(4)
    new[1]["after"] = '{"title": "forged"}'
    forged = chain([Entry(**{f.name: r[f.name] for f in dataclasses.fields(Entry)}) for r in new])
    exported = Head("alice", str(CHAIN), 3, old[2]["hash"].hex())
    later = Head("alice", str(CHAIN), 5, old[4]["hash"].hex())
    other = Head("alice", str(UUID(int=8)), 3, old[2]["hash"].hex())
    head = forged[-1]["hash"]

    assert find(forged, 4, head) == []
    assert find(forged, 4, head, exported) == [3]
    assert find(old[:4], 4, old[3]["hash"], later) == [4]
    assert find(old, 5, old[4]["hash"], exported) == []
    assert find(old, 5, old[4]["hash"], other) == [0]
