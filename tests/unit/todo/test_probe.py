"""Readings of the health probe about a server's threads."""

import os

import pytest

from todo import probe


@pytest.mark.parametrize(("threads", "is_busy"), [(["0"], True), ([], False)])
def test_a_thread_that_has_just_ended_was_busy(
    threads: list[str], monkeypatch: pytest.MonkeyPatch, *, is_busy: bool
) -> None:
    monkeypatch.setattr(probe, "listdir", lambda _path: threads)
    assert probe._is_busy(os.getpid()) == is_busy  # noqa: SLF001 - an instant of a race


def test_a_process_that_has_ended_is_idle() -> None:
    assert not probe._is_busy(0)  # noqa: SLF001 - likewise
