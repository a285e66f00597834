"""What is moved aside when the stack returns to a former volume."""

from __future__ import annotations

from typing import TYPE_CHECKING

from deploy import process
from deploy.backup import left_behind

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import pytest


def test_the_time_of_the_last_switch_is_remembered(tmp_path: Path) -> None:
    assert left_behind.find_switch(tmp_path) == ""
    left_behind.record_switch(tmp_path)
    found = left_behind.find_switch(tmp_path)
    assert left_behind.find_since(found, ["20200101T000000Z.json", "29990101T000000Z.json"]) == [
        "29990101T000000Z"
    ]


def test_backups_since_the_switch_and_the_wal_are_moved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(argv: Sequence[str], *, timeout_s: float) -> process.Completed:
        assert argv[:2] == ["podman", "unshare"]
        return real(argv[2:], timeout_s=timeout_s)

    real = process.run
    monkeypatch.setattr(process, "run", run)
    base = tmp_path / "base"
    for stamp in ("20261129T030000Z", "20261130T030000Z"):
        (base / stamp).mkdir(parents=True)
        (base / f"{stamp}.json").touch()
        (base / f"{stamp}.heads").touch()
    (tmp_path / "wal").mkdir()
    (tmp_path / "wal" / "000000020000000000000001").touch()
    left_behind.move(tmp_path, "20261129T120000Z")
    (left,) = tmp_path.glob("left.*")
    assert sorted(path.name for path in base.iterdir()) == [
        *("20261129T030000Z", "20261129T030000Z.heads", "20261129T030000Z.json")
    ]
    assert sorted(path.name for path in (left / "base").iterdir()) == [
        *("20261130T030000Z", "20261130T030000Z.heads", "20261130T030000Z.json")
    ]
    assert (left / "wal" / "000000020000000000000001").exists()
    assert list((tmp_path / "wal").iterdir()) == []
