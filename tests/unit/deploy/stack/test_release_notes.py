"""Demands of minor releases: shown where the image goes past one, and only there."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from deploy.image import build
from deploy.paths import REPO
from deploy.stack import release_notes, up
from deploy.stack.release_notes import NOTES, find_demands

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user without records."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))


def record(version: str) -> None:
    path = build.record_dir() / "todo-db.packages.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    packages = [
        {"name": "postgresql-client-17", "version": "1.1"},
        {"name": "postgresql-17", "version": version},
    ]
    path.write_text(json.dumps({"debian": packages, "python": []}))


@pytest.mark.parametrize(
    ("before", "after", "count"),
    [
        ((17, 11), (17, 12), 1),
        ((17, 10), (17, 13), 1),
        ((17, 12), (17, 13), 0),
        ((17, 11), (17, 11), 0),
        ((16, 9), (17, 12), 0),
        (None, (17, 12), 0),
        ((17, 11), None, 0),
    ],
)
def test_a_release_demands_something_of_older_data_only(
    before: tuple[int, int] | None, after: tuple[int, int] | None, count: int
) -> None:
    found = list(find_demands(before, after))
    assert len(found) == count
    assert all("REINDEX INDEX CONCURRENTLY ix_task_search" in line for line in found)


def test_the_release_is_that_of_the_record() -> None:
    assert release_notes.find_release() is None
    record("17.12-0+deb13u1")
    assert release_notes.find_release() == (17, 12)
    record("unknown")
    assert release_notes.find_release() is None


def test_a_build_that_goes_past_a_release_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    record("17.11-0+deb13u1")

    def ensure(target: str, _arguments: object, _options: object) -> build.Image:
        record("17.12-0+deb13u1")
        return build.Image(target, "", "", 0, "")

    monkeypatch.setattr(build, "ensure", ensure)
    monkeypatch.setattr("deploy.host.packages.ensure_stack_packages", lambda **_: None)
    up.build(build.Options())
    assert "PostgreSQL 17.12: before it" in capsys.readouterr().err
    up.build(build.Options())
    assert capsys.readouterr().err == ""


def test_the_index_of_a_note_is_one_of_the_schema() -> None:
    migrations = (REPO / "src" / "todo" / "db" / "migrations").rglob("*.py")
    schema = "".join(path.read_text() for path in migrations)
    for _, command in NOTES.values():
        index = command.rstrip("'").rpartition(" ")[2]
        assert index in schema
