"""Time limits of tests: hangs, and failing set-ups."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests import conftest
from tests.machine_clock import MachineClock, find_slowness_by_load, wait_until

REPO = Path(__file__).parents[2]


class Machine:
    def __init__(self) -> None:
        self.time_s = 100.0
        self.slowness = 1.0

    def make_clock(self) -> MachineClock:
        return MachineClock(wall=lambda: self.time_s, find_slowness=lambda: self.slowness)


def test_the_clock_counts_all_seconds_of_a_quiet_machine() -> None:
    machine = Machine()
    clock = machine.make_clock()
    machine.time_s += 0.5
    assert clock.now() == pytest.approx(0.5)
    machine.time_s += 10
    assert clock.now() == pytest.approx(10.5)


def test_the_clock_counts_fewer_seconds_while_the_machine_is_busy() -> None:
    machine = Machine()
    machine.slowness = 5
    clock = machine.make_clock()
    machine.time_s += 10
    assert clock.now() == pytest.approx(2)
    machine.slowness = 1
    machine.time_s += 1
    clock.now()
    machine.time_s += 3
    assert clock.now() == pytest.approx(2 + 1 / 5 + 3)


def test_the_load_of_this_machine_is_within_bounds() -> None:
    assert 1 <= find_slowness_by_load() <= 20


def test_a_wait_returns_what_it_waited_for() -> None:
    found = iter(["", "", "there"])
    assert wait_until(lambda: next(found), "found", within_s=60, poll_s=0) == "there"


def test_a_wait_in_vain_says_for_what_and_why() -> None:
    with pytest.raises(TimeoutError, match=r"not up within 0 s: the end of its log"):
        wait_until(lambda: False, "up", within_s=0, explain=lambda: "the end of its log")


def test_errors_that_mean_not_yet_are_waited_out() -> None:
    attempts = []

    def connect() -> bool:
        attempts.append(1)
        if len(attempts) == 1:
            raise ConnectionRefusedError
        return True

    assert wait_until(connect, "up", within_s=60, ignore=[ConnectionError], poll_s=0)


BROKEN = """
import pytest

attempts = []

@pytest.fixture
def server():
    attempts.append(1)
    raise OSError("the server did not start: " + "x" * 100 + f", attempt {len(attempts)}")

@pytest.mark.parametrize("number", range(3))
def test_of_the_server(server, number):
    pass

def test_after_it():
    pass
"""
HANG = """
import pytest, threading

@pytest.mark.longer(-299.9)
def test_hangs():
    threading.Event().wait()
"""


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return pytest's output about these files under the rules of this suite."""
    folder = tmp_path_factory.mktemp("suite")
    (folder / "tests/unit").mkdir(parents=True)
    (folder / "tests/unit/test_broken.py").write_text(BROKEN)
    (folder / "tests/unit/test_hang.py").write_text(HANG)
    (folder / "pytest.ini").write_text("[pytest]\nmarkers = longer(seconds): ...\n")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "tests.conftest", "-p", "no:cacheprovider", "tests"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": f"{REPO}:{REPO / 'src'}", "COLUMNS": "80"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    return done.stdout


def test_the_first_error_in_set_up_ends_its_file_and_is_shown_at_once_in_full(output: str) -> None:
    name = "tests/unit/test_broken.py::test_of_the_server[0]"
    reason = f"OSError: the server did not start: {'x' * 100}, attempt 1"
    at_once, _, summary = output.partition("= ERRORS =")
    assert f"ERROR in set-up of {name}: {reason}\n" in at_once
    assert f"ERROR {name}: {reason}\n" in summary
    assert f"NOT RUN 3 tests after the error in set-up of {name}\n" in summary
    assert "1 failed, 1 error, 3 not run" in summary
    assert "attempt 2" not in output


def test_a_hang_ends_with_the_stacks(output: str) -> None:
    assert "test_hang.py::test_hangs: Failed: still running after 0.1 s" in output
    assert 'tests/unit/test_hang.py", line 6 in test_hangs' in output


class Watchdog(conftest.Watchdog):
    def feed(self) -> None:
        """Leave the end of this process to the one that watches it."""


def test_what_a_shared_fixture_takes_is_not_at_the_expense_of_one_test(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    machine = Machine()
    monkeypatch.setattr(conftest, "CLOCK", machine.make_clock())
    watchdog = Watchdog()
    with watchdog.phase(10):
        machine.time_s += 9
        with watchdog.phase(10):
            machine.time_s += 9
            watchdog.look(0, None)
        machine.time_s += 0.5
        watchdog.look(0, None)
        machine.time_s += 1
        with pytest.raises(pytest.fail.Exception, match="still running after 10 s"):
            watchdog.look(0, None)
    watchdog.look(0, None)
