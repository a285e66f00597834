"""Transaction of a run or an entry, from the rows of the database."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from deploy.backup.journal_query import find_change
from deploy.backup.target import Change, Kind, Target
from deploy.errors import DeployError

RUN = Target(Kind.RUN, "nightly-3")


def entry(owner: str, seq: int, **fields: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    found = {"owner": owner, "seq": seq, "transaction": str(700 + seq), "actor": owner}
    return {**found, "token": None, "at": "2026-11-30T11:59:30.25", **fields}


class Database:
    """Returns the same for every query."""

    def __init__(self, *entries: dict[str, Any]) -> None:
        self.entries = entries
        self.variables: Mapping[str, str] = {}

    def __call__(self, statement: str, variables: Mapping[str, str]) -> str:
        assert all(f":'{name}'" in statement for name in variables)
        self.variables = variables
        return json.dumps(self.entries)


def test_a_run_is_named_by_its_first_entry() -> None:
    database = Database(entry("alice", 7), entry("alice", 8), entry("bob", 3, actor="alice"))
    at = datetime(2026, 11, 30, 11, 59, 30, 250_000, tzinfo=UTC)
    assert find_change(database, RUN) == Change("alice", 7, "707", at)
    assert database.variables == {"run": "nightly-3"}


def test_an_entry_is_asked_for_by_its_journal_and_number() -> None:
    database = Database(entry("a/b", 17))
    found = find_change(database, Target(Kind.ENTRY, "a/b/17"))
    assert found is not None
    assert (found.owner, found.seq) == ("a/b", 17)
    assert database.variables == {"owner": "a/b", "seq": "17"}


def test_nothing_is_found_where_there_is_none() -> None:
    assert find_change(Database(), RUN) is None


def test_runs_of_the_same_id_are_told_apart_by_their_first_entries() -> None:
    by_token = {**entry("alice", 8), "token": "t"}
    entries = [entry("alice", 7), by_token, entry("bob", 3), entry("bob", 4)]
    message = "3 runs have the ID nightly-3 — name the first entry of one of them: "
    with pytest.raises(DeployError, match=f"{message}alice/7 or alice/8 or bob/3"):
        find_change(Database(*entries), RUN)
