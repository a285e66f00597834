"""Files that are moved aside when the stack leaves a volume, also after a kill at each step."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from deploy import process
from deploy.backup import left_behind

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pytest

FORMER = ("20261129T030000Z", "20261130T030000Z")
NEXT = "20261130T130000Z"
UNTIL = "20261130T120000Z"
NAME = f"left.{UNTIL}"
WAL = "000000020000000000000001"


class KilledError(BaseException):
    """The program ends without any handler, as after SIGKILL."""


class Unshare:
    """Does what programs of `podman unshare` do, and dies at a place; each moved file is one."""

    def __init__(self, dies_at: int) -> None:
        self._dies_at = dies_at
        self._places = 0

    def __call__(self, argv: Sequence[str], *, timeout_s: float) -> process.Completed:
        assert argv[:2] == ["podman", "unshare"]
        assert timeout_s
        program, *arguments = argv[2:]
        paths = [Path(each) for each in arguments if each.startswith("/")]
        shown = ""
        self._pass()
        if program == "mv":
            for each in paths[:-1]:
                each.rename(paths[-1] / each.name)
                self._pass()
        elif program == "mkdir":
            for each in paths:
                each.mkdir(parents=True, exist_ok=True)
                self._pass()
        elif program == "find":
            shown = "\n".join(map(str, (paths[0] / "files").glob("*")))
        return process.Completed((), 0, shown, "")

    def _pass(self) -> None:
        self._places += 1
        if self._places == self._dies_at:
            raise KilledError


RUN = process.run


def run_here(argv: Sequence[str], *, timeout_s: float) -> process.Completed:
    assert argv[:2] == ["podman", "unshare"]
    return RUN(argv[2:], timeout_s=timeout_s)


def fill(folder: Path) -> None:
    for stamp in FORMER:
        make_base(folder, stamp)
    for name in ("wal", "wal.20261129T040000Z"):
        (folder / name).mkdir()
        (folder / name / WAL).touch()


def make_base(folder: Path, stamp: str) -> None:
    for path in (folder / "base" / stamp, folder / "files" / stamp):
        path.mkdir(parents=True)
    for suffix in ("json", "heads"):
        (folder / "base" / f"{stamp}.{suffix}").touch()


def find_files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def find_bases(*stamps: str) -> set[str]:
    endings = ("", ".json", ".heads")
    return {f"base/{stamp}{ending}" for stamp in stamps for ending in endings} | {
        f"files/{stamp}" for stamp in stamps
    }


def test_the_time_of_the_last_switch_is_remembered(tmp_path: Path) -> None:
    assert left_behind.find_switch(tmp_path) == ""
    left_behind.record_switch(tmp_path, left_behind.make_stamp())
    found = left_behind.find_switch(tmp_path)
    names = ["20200101T000000Z.json", "29980101T000000Z", "29980101T000000Z.json", ".x.partial"]
    assert left_behind.find_between(names, found, "29990101T000000Z") == ["29980101T000000Z"]
    assert left_behind.find_between(names, found, "29970101T000000Z") == []


def test_backups_since_the_switch_and_the_wal_are_moved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "run", run_here)
    fill(tmp_path)
    left = left_behind.move(tmp_path, UNTIL, "20261129T120000Z")
    assert left == tmp_path / NAME
    assert find_files(left) == {"base", "files", *find_bases(FORMER[1]), "wal", f"wal/{WAL}"}
    shutil.rmtree(left)
    gap = "wal.20261129T040000Z"
    assert find_files(tmp_path) == {
        *("base", "files", "wal", gap, f"{gap}/{WAL}", *find_bases(FORMER[0]))
    }


def test_the_folder_may_be_behind_a_symbolic_link(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "run", run_here)
    (folder := tmp_path / "disk").mkdir()
    (link := tmp_path / "backup").symlink_to(folder)
    fill(folder)

    left_behind.move(link, UNTIL, "20261129T120000Z")

    assert find_files(folder / NAME) == {
        "base",
        "files",
        *find_bases(FORMER[1]),
        "wal",
        f"wal/{WAL}",
    }


def test_a_move_that_is_killed_anywhere_is_completed_into_the_same_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, is_killed = 0, True
    while is_killed:
        place += 1
        folder = tmp_path / str(place)
        folder.mkdir()
        fill(folder)
        monkeypatch.setattr(process, "run", Unshare(place))
        try:
            left_behind.move(folder, UNTIL)
            is_killed = False
        except KilledError:
            is_killed = True
        bases = {path.name for path in (folder / "base").glob("*Z")}
        # What is incomplete would be removed by a backup, which refuses another database.
        kept = {path.name.partition(".")[0] for path in (folder / "base").iterdir()}
        assert kept <= bases
        assert not bases or FORMER[1] in bases
        if not bases:
            make_base(folder, NEXT)
            (folder / "wal" / "of the next volume").touch()
        monkeypatch.setattr(process, "run", Unshare(0))
        left_behind.move(folder, UNTIL)
        gap = "wal.20261129T040000Z"
        assert find_files(folder / NAME) == {
            *("base", "files", *find_bases(*FORMER), "wal", f"wal/{WAL}", gap, f"{gap}/{WAL}")
        }
        shutil.rmtree(folder / NAME)
        stays = set() if bases else {*find_bases(NEXT), "wal/of the next volume"}
        assert find_files(folder) == {"base", "files", "wal"} | stays
    assert place > 20


def test_a_folder_without_wal_is_left_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "run", run_here)
    make_base(tmp_path, FORMER[0])
    left_behind.move(tmp_path, UNTIL)
    assert find_files(tmp_path / NAME) == {"base", "files", *find_bases(FORMER[0])}
