import contextlib
import io
import sys
import time
from pathlib import Path

import pytest

from deploy import progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def timings(monkeypatch: pytest.MonkeyPatch) -> progress.Timings:
    fresh = progress.Timings()
    monkeypatch.setattr(progress, "TIMINGS", fresh)
    monkeypatch.setenv("TERM", "xterm")
    return fresh


def test_elsewhere_than_on_a_terminal_a_step_is_two_plain_lines() -> None:
    out = io.StringIO()
    with progress.step("Building", out) as step:
        step.note("layer 1")
    begin, end = out.getvalue().splitlines()
    assert begin == "Building …"
    assert end.startswith("Building: done (0.")
    assert "\x1b" not in out.getvalue()


def test_progress_that_cannot_be_shown_stops_nothing(
    timings: progress.Timings, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Its end is an error, too.
    with contextlib.suppress(OSError), Path("/dev/full").open("w") as full:
        monkeypatch.setattr(sys, "stderr", full)
        with progress.step("Building"):
            progress.say("half of it")
    assert [title for title, _ in timings.steps] == ["Building"]


def test_a_silent_step_says_now_and_then_that_it_lives(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "_HEARTBEAT_S", 0.01)
    out = io.StringIO()
    with progress.step("Building", out) as step:
        step.note("layer 1")
        while "layer 1" not in out.getvalue():
            time.sleep(0.005)
    assert "Building … 0 s  layer 1\n" in out.getvalue()


def test_a_sign_of_life_stays_one_line_of_ordinary_width(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "_HEARTBEAT_S", 0.01)
    out = io.StringIO()
    with progress.step("Building", out) as step:
        step.note("package " * 100)
        while "package" not in out.getvalue():
            time.sleep(0.005)
    assert max(map(len, out.getvalue().splitlines())) == 120


def test_on_a_terminal_one_line_is_drawn_over_and_left_final(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(progress, "_REFRESH_S", 0.01)
    out = Terminal()
    with progress.step("Building", out) as step:
        step.note("layer 1")
        while "layer 1" not in out.getvalue():
            time.sleep(0.005)
    assert out.getvalue().count("\n") == 1
    assert out.getvalue().splitlines()[-1].rpartition("\x1b[K")[2].startswith("Building: done")


def test_the_parts_of_a_step_have_the_line_and_no_time_of_their_own(
    monkeypatch: pytest.MonkeyPatch, timings: progress.Timings
) -> None:
    monkeypatch.setattr(progress, "_REFRESH_S", 0.01)
    out = Terminal()
    with progress.step("Outer", out), progress.step("Inner", out):
        while "Inner …" not in out.getvalue():
            time.sleep(0.005)
        drawn = len(out.getvalue())
        time.sleep(0.05)
        assert "Outer …" not in out.getvalue()[drawn:]
    assert [title for title, _ in timings.steps] == ["Outer"]


@pytest.mark.parametrize(
    ("error", "outcome"), [(ValueError, "failed"), (KeyboardInterrupt, "interrupted")]
)
def test_how_a_step_ended_is_said_and_only_success_is_timed(
    error: type[BaseException], outcome: str, timings: progress.Timings
) -> None:
    out = io.StringIO()
    with pytest.raises(error), progress.step("Building", out):
        raise error
    assert f"Building: {outcome} (" in out.getvalue()
    assert timings.steps == []


def test_colours_of_a_program_stay_out_of_the_line() -> None:
    step = progress.Step("Building")
    step.note("\x1b[32mgreen\x1b[0m\tend\n")
    assert step.detail == "greenend"
    step.note("  \n")
    assert step.detail == "greenend"


def test_the_table_of_timings_has_a_total() -> None:
    table = progress.Timings([("Building", 1.25), ("Starting the units", 2.0)]).render()
    assert table.splitlines() == [
        "  Building                1.2 s",
        "  Starting the units      2.0 s",
        "  total                   3.2 s",
    ]
