"""Files are replaced as a whole, or stay as they are."""

import os
import stat
from pathlib import Path

import pytest

from deploy import atomic_write

UNWRITABLE = "begun \ud800"  # a lone surrogate has no UTF-8


def test_a_file_is_replaced_by_one_that_everybody_may_read(tmp_path: Path) -> None:
    file = tmp_path / "record.json"
    file.write_text("old, and longer")
    file.chmod(0o600)

    atomic_write.write_text(file, "né\n")

    assert file.read_bytes() == "né\n".encode()
    assert file.stat().st_mode & 0o777 == 0o644
    assert list(tmp_path.iterdir()) == [file]


def test_a_secret_is_only_for_its_owner(tmp_path: Path) -> None:
    atomic_write.write_text(tmp_path / "secret", "s", mode=0o600)
    assert (tmp_path / "secret").stat().st_mode & 0o777 == 0o600


def test_what_must_not_be_replaced_stays(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("old")

    with pytest.raises(FileExistsError):
        atomic_write.write_text(file, "new", overwrite=False)

    assert file.read_text() == "old"
    assert list(tmp_path.iterdir()) == [file]


def test_a_write_that_fails_leaves_the_old_content_and_nothing_beside_it(tmp_path: Path) -> None:
    file = tmp_path / "record.json"
    file.write_text("old")

    with pytest.raises(UnicodeEncodeError):
        atomic_write.write_text(file, UNWRITABLE)

    assert file.read_text() == "old"
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize("overwrite", [True, False])
def test_a_file_survives_a_power_failure_under_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, overwrite: bool
) -> None:
    file = tmp_path / "record.json"
    synced: list[tuple[bool, bool]] = []

    def note(descriptor: int) -> None:
        synced.append((stat.S_ISDIR(os.fstat(descriptor).st_mode), file.exists()))

    monkeypatch.setattr(os, "fsync", note)
    atomic_write.write_text(file, "new", overwrite=overwrite)

    # Its content before it has the name, and then the folder.
    assert synced == [(False, False), (True, True)]
