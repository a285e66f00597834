"""A run that is spread over processes, and broken off."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.paths import REPO
from tests.machine_clock import wait_until

# Longer than xdist waits for its processes.
CLEAN_UP_S = 18
TESTS = f"""
import os, pathlib, time
import pytest

@pytest.fixture
def machine():
    notes = pathlib.Path(os.environ["NOTES"])
    started = notes / f"{{os.getpid()}}.started"
    started.touch()
    yield
    time.sleep({CLEAN_UP_S})
    started.rename(started.with_suffix(".cleaned"))

def test_it(machine):
    time.sleep(3600)
"""


@pytest.mark.parametrize("reach", ["first process", "all processes"])
def test_each_process_cleans_up_after_an_interrupt(tmp_path: Path, reach: str) -> None:
    for name in ("one", "two"):
        (tmp_path / f"test_{name}.py").write_text(TESTS)
    spread = ["-p", "xdist.plugin", "-p", "tests.spread", "--numprocesses", "2", "--dist=loadscope"]
    plain = ["--rootdir", str(tmp_path), "-c", os.devnull, "--disable-plugin-autoload"]
    run = subprocess.Popen(
        [sys.executable, "-m", "pytest", *spread, *plain, str(tmp_path)],
        cwd=tmp_path,
        env=os.environ | {"NOTES": str(tmp_path), "PYTHONPATH": str(REPO)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        wait_until(lambda: _count(tmp_path, "started") == 2, "two running tests", within_s=300)
        send = os.kill if reach == "first process" else os.killpg
        send(run.pid, signal.SIGINT)
        output, _ = run.communicate()
    finally:
        if run.poll() is None:
            os.killpg(run.pid, signal.SIGKILL)
            run.wait()

    assert run.returncode == pytest.ExitCode.INTERRUPTED, output.decode()
    assert _count(tmp_path, "cleaned") == 2


def _count(folder: Path, ending: str) -> int:
    return len(list(folder.glob(f"*.{ending}")))
