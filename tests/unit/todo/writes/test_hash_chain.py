import dataclasses
import hashlib
from uuid import UUID

import pytest

from todo.writes.hash_chain import GENESIS, Entry, commit, link

ENTRY = Entry(
    at="2026-11-25T10:00:00+00:00",
    actor="alice",
    operation="update",
    kind="task",
    entity_id="e",
    before='{"a":1}',
    after='{"a":2}',
)
SALT = bytes(range(16))
CHAIN = UUID("019ab000-0000-7000-8000-000000000001")
COMMITMENT = hashlib.sha256(b"c").digest()


def test_the_format_is_final() -> None:
    commitment = commit(SALT, ENTRY)
    content = b'["alice",null,null,null,null,"update","task","e",null,"{\\"a\\":1}","{\\"a\\":2}"]'
    place = CHAIN.bytes + (7).to_bytes(8) + (1764064800000000 + 31536000000000).to_bytes(8)

    assert commitment == hashlib.sha256(SALT + content).digest()
    assert link(b"previous", CHAIN, 7, ENTRY.at, commitment) == (
        hashlib.sha256(b"previous" + place + commitment).digest()
    )


@pytest.mark.parametrize("name", sorted(set(Entry.__slots__) - {"at"}))
def test_each_part_of_the_content_is_committed_to(name: str) -> None:
    other = dataclasses.replace(ENTRY, **{name: "other"})

    assert commit(SALT, other) != commit(SALT, ENTRY)


def test_the_time_is_plain_and_counts_in_the_link() -> None:
    later = dataclasses.replace(ENTRY, at="2026-11-25T10:00:00.000001+00:00")

    assert commit(SALT, later) == commit(SALT, ENTRY)
    assert link(GENESIS, CHAIN, 1, later.at, COMMITMENT) != (
        link(GENESIS, CHAIN, 1, ENTRY.at, COMMITMENT)
    )


def test_an_instant_counts_and_not_the_way_it_is_written() -> None:
    assert link(GENESIS, CHAIN, 1, "2026-11-25T10:00:00.250000+00:00", COMMITMENT) == (
        link(GENESIS, CHAIN, 1, "2026-11-25T11:00:00.25+01:00", COMMITMENT)
    )


def test_salt_place_and_chain_count() -> None:
    assert commit(bytes(16), ENTRY) != commit(SALT, ENTRY)
    links = {
        link(GENESIS, CHAIN, 1, ENTRY.at, COMMITMENT),
        link(b"x", CHAIN, 1, ENTRY.at, COMMITMENT),
        link(GENESIS, CHAIN, 2, ENTRY.at, COMMITMENT),
        link(GENESIS, UUID(int=1), 1, ENTRY.at, COMMITMENT),
        link(GENESIS, CHAIN, 1, ENTRY.at, bytes(32)),
    }
    assert len(links) == 5
