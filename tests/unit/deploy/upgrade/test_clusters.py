"""Description of the differences of two clusters."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from deploy import process
from deploy.errors import DeployError
from deploy.upgrade import clusters
from deploy.upgrade.clusters import Cluster

if TYPE_CHECKING:
    from collections.abc import Sequence

OLD, NEW = Cluster("todo-db", "/run/todo", "todo-socket"), Cluster("new", "/data", "todo-data-18")


def test_tables_that_differ_are_named() -> None:
    before = {"task": "2 40", "journal": "3 50", "list": "1 7", "gone": "1 1"}
    after = {"task": "2 41", "journal": "5 60", "list": "1 7"}
    assert clusters.describe_changes(before, after) == [
        "gone: 1 -> no rows",
        "journal: 3 -> 5 rows",
        "task: another content",
    ]
    assert clusters.describe_changes(after, after) == []


def test_rows_are_counted_without_sequences() -> None:
    assert clusters.count_rows({"task": "2 40", "journal": "3 50", "task_id_seq": "7"}) == 5


def test_a_copy_that_differs_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(argv: Sequence[str], **_: object) -> process.Completed:
        rows = "3" if "new" in argv else "4"
        return process.Completed(tuple(argv), 0, f"journal|{rows} 12\ntask|1 1\n", "")

    monkeypatch.setattr(process, "run", run)
    with pytest.raises(DeployError, match="differs from the database: journal: 4 -> 3 rows"):
        clusters.compare(OLD, NEW)


def test_a_failed_copy_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    said = 'pg_restore: error: could not execute query: unrecognized parameter "pg_attver"\n'

    def run(argv: Sequence[str], **_: object) -> process.Completed:
        # With the pg_dump of the old version.
        assert "localhost/todo-db:17" in argv
        return process.Completed(tuple(argv), 1, "", f"{said}copy-cluster: pg_restore failed\n")

    monkeypatch.setattr(process, "run", run)
    with pytest.raises(DeployError) as caught:
        clusters.copy(OLD, NEW, "localhost/todo-db:17")
    assert caught.value.message == (
        "the database cannot be copied: pg_restore failed: pg_restore: error: "
        'could not execute query: unrecognized parameter "pg_attver"'
    )
