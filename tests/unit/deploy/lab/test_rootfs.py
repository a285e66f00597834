from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from deploy.errors import DeployError, ExitCode
from deploy.lab import rootfs as lab_rootfs

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from deploy.progress import Step

DAY_S = 86400


@pytest.fixture
def trees(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the cached trees, with a bootstrap that makes an empty one."""

    def unpack(tree: Path, _temporary: Path, _step: Step) -> None:
        tree.mkdir()

    def leave(_tree: Path, _certificates: Mapping[str, bytes], _step: Step) -> None:
        pass

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(lab_rootfs, "host_certificates", dict)
    monkeypatch.setattr(lab_rootfs, "_bootstrap", unpack)
    monkeypatch.setattr(lab_rootfs, "_set_up", leave)
    # The key follows the text of the function that was just replaced.
    monkeypatch.setattr(lab_rootfs, "key", lambda _: "0123456789abcdef")
    folder = tmp_path / "todo-backend" / "lab"
    folder.mkdir(parents=True)
    return folder


def aged(trees: Path, days: float, key: str = "0123456789abcdef") -> Path:
    tree = trees / f"{key}-{time.time() - days * DAY_S:.0f}"
    tree.mkdir()
    return tree


def fail_with(monkeypatch: pytest.MonkeyPatch, code: ExitCode) -> None:
    def fail(tree: Path, _temporary: Path, _step: Step) -> None:
        (tree / "half").mkdir(parents=True)
        raise DeployError("no luck", code=code)

    monkeypatch.setattr(lab_rootfs, "_bootstrap", fail)


def test_tree_is_made_once(trees: Path) -> None:
    made = lab_rootfs.ensure()
    assert made.parent == trees
    assert lab_rootfs.ensure() == made
    assert [made] == list(trees.iterdir())


def test_trees_of_another_key_and_unfinished_ones_are_removed(trees: Path) -> None:
    aged(trees, 1, key="fedcba9876543210")
    (trees / ".new-77").mkdir()
    fresh = aged(trees, 1)
    assert lab_rootfs.ensure() == fresh
    assert [fresh] == list(trees.iterdir())


def test_tree_that_a_lab_runs_on_stays(trees: Path) -> None:
    used = aged(trees, 1, key="fedcba9876543210")
    with lab_rootfs.in_use(used):
        made = lab_rootfs.ensure()
    assert {used, made} == set(trees.iterdir())


def test_tree_is_made_anew_after_a_week(trees: Path) -> None:
    old = aged(trees, 8)
    assert lab_rootfs.ensure() != old
    assert not old.exists()


def test_old_tree_serves_where_there_is_no_network(
    trees: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    old = aged(trees, 8)
    fail_with(monkeypatch, ExitCode.UNAVAILABLE)
    assert lab_rootfs.ensure() == old
    assert "8 days old: no luck" in capsys.readouterr().err
    assert [old] == list(trees.iterdir())


@pytest.mark.parametrize("code", [ExitCode.NO_SPACE, ExitCode.UNAVAILABLE])
def test_failed_build_leaves_nothing(
    trees: Path, monkeypatch: pytest.MonkeyPatch, code: ExitCode
) -> None:
    fail_with(monkeypatch, code)
    with pytest.raises(DeployError, match="no luck") as caught:
        lab_rootfs.ensure()
    assert caught.value.code is code
    assert list(trees.iterdir()) == []


def test_others_may_not_look_into_the_trees(trees: Path) -> None:
    lab_rootfs.ensure()
    assert trees.stat().st_mode & 0o777 == 0o700


def test_full_disk_is_told_before_anything_is_made(
    trees: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lab_rootfs, "_ROOM_MIB", 1 << 40)
    with pytest.raises(DeployError, match="MiB are free") as caught:
        lab_rootfs.ensure()
    assert caught.value.code is ExitCode.NO_SPACE
    assert list(trees.iterdir()) == []
