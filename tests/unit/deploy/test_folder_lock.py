"""One process at a time holds a folder."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy import folder_lock


def is_held(folder: Path) -> bool:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    else:
        return False
    finally:
        os.close(descriptor)


def test_a_folder_is_held_for_the_length_of_the_block(tmp_path: Path) -> None:
    with folder_lock.hold(tmp_path):
        assert is_held(tmp_path)
    assert not is_held(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_failure_releases_the_folder(tmp_path: Path) -> None:
    with pytest.raises(KeyError), folder_lock.hold(tmp_path):
        raise KeyError
    assert not is_held(tmp_path)


def test_a_wait_for_another_holder_is_reported_while_it_lasts(tmp_path: Path) -> None:
    other = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    fcntl.flock(other, fcntl.LOCK_EX)
    reported = []

    @contextlib.contextmanager
    def waiting() -> Iterator[None]:
        reported.append("waiting")
        os.close(other)  # the other holder ends
        yield
        reported.append("held" if is_held(tmp_path) else "free")

    with folder_lock.hold(tmp_path, waiting):
        assert reported == ["waiting", "held"]


def test_a_lock_that_is_free_reports_no_wait(tmp_path: Path) -> None:
    with folder_lock.hold(tmp_path, lambda: pytest.fail("did not have to wait")):
        assert is_held(tmp_path)
