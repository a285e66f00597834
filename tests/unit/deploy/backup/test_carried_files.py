"""Files beside the database in a backup, and what a restore installs of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from deploy import process
from deploy.backup import carried_files
from deploy.backup.containers import Account
from deploy.stack import install, lifecycle

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

DROPIN = "containers/systemd/todo-backend.container.d/60-mine.conf"
RUN = process.run


class Podman:
    """Keeps secrets, and runs what `podman unshare` runs."""

    def __init__(self) -> None:
        self.secrets: dict[str, str | None] = {}
        self.ran: list[list[str]] = []

    def __call__(
        self, argv: Sequence[str], *, stdin: str | None = None, timeout_s: float = 60.0
    ) -> process.Completed:
        if argv[:3] == ["podman", "secret", "create"]:
            self.secrets[argv[-2]] = stdin
            return process.Completed(tuple(argv), 0, "", "")
        assert argv[:2] == ["podman", "unshare"]
        self.ran.append(list(argv[2:]))
        if argv[2] in {"chown", "chgrp"}:
            return process.Completed(tuple(argv), 0, "", "")
        return RUN(argv[2:], timeout_s=timeout_s)


@pytest.fixture
def podman(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Podman:
    podman = Podman()
    monkeypatch.setattr(process, "run", podman)
    monkeypatch.setattr(install, "destination", lambda name: tmp_path / "installed" / name)
    return podman


@pytest.fixture
def backup(tmp_path: Path) -> Path:
    """A backup folder, which has base backups but none of the files beside them."""
    folder = tmp_path / "back[1]up"
    for stamp in ("20261129T030000Z", "20261130T030000Z"):
        (folder / "base" / stamp).mkdir(parents=True)
    return folder


def test_the_folder_whose_owner_is_looked_at_changes_its_owner_last(
    podman: Podman, backup: Path
) -> None:
    for name in ("wal", "files", "dump", "settings", "a", "z"):
        (backup / name).mkdir()

    carried_files.take_over(backup, Account(123456, 123456, 10001, "todo_backup"))

    (words,) = (words for words in podman.ran if words[0] == "chown")
    assert words[:3] == ["chown", "--recursive", "123456:123456"]
    assert len(words[3:]) == 7
    assert words[-1] == str(backup / "base")


@pytest.mark.parametrize("is_link", [False, True])
def test_the_files_of_the_newest_backup_are_installed(
    podman: Podman, backup: Path, tmp_path: Path, *, is_link: bool
) -> None:
    for stamp in ("20261130T030000Z", "20261129T030000Z", ".20261201T030000Z.partial"):
        files = backup / "files" / stamp
        (files / DROPIN).parent.mkdir(parents=True)
        (files / DROPIN).write_text(stamp)
        (files / "token-secret").write_text(stamp)

    (link := tmp_path / "link").symlink_to(backup)

    name = "todo-backend.container.d/60-mine.conf"
    assert carried_files.bring(link if is_link else backup) == ["the key that signs tokens", name]

    assert podman.secrets == {lifecycle.SECRET: "20261130T030000Z"}
    assert install.destination(name).read_text() == "20261130T030000Z"


@pytest.mark.parametrize("has_folder", [True, False])
def test_a_copy_without_these_files_is_restored_all_the_same(
    podman: Podman, backup: Path, *, has_folder: bool
) -> None:
    if has_folder:
        (backup / "files").mkdir()

    assert carried_files.bring(backup) == []

    assert podman.secrets == {}
