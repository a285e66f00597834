"""The health probe and the event loop: a hang is found, too many requests are not taken for one."""

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import todo.probe
from tests.integration.service import SOURCES, open_folder, open_service
from todo.probe import COUNTER_SUFFIX


@pytest.fixture
def folder() -> Iterator[Path]:
    with open_folder() as folder:
        yield folder


# Answers nobody. From its first connection on it works for so many seconds in a callback, and
# pauses for so many before the next.
LOOP_SERVER = """
import asyncio, sys, time
from todo.server.loop_heartbeat import LoopHeartbeat

path, work_s, pause_s = sys.argv[1], float(sys.argv[2]), float(sys.argv[3])
held = False

async def hold(reader, writer):
    global held
    if held:
        return
    held = True
    while True:
        ends_at = time.thread_time() + work_s
        while time.thread_time() < ends_at:
            pass
        await asyncio.sleep(pause_s)

async def main():
    counter = LoopHeartbeat(path)
    counter.start()
    async with await asyncio.start_unix_server(hold, path) as server:
        print("listening", flush=True)
        await server.serve_forever()

asyncio.run(main())
"""


@contextlib.contextmanager
def loop_server(folder: Path, *, work_s: float, pause_s: float = 0) -> Iterator[str]:
    path = f"{folder}/loop.sock"
    argv = [sys.executable, "-c", LOOP_SERVER, path, str(work_s), str(pause_s)]
    environment = {"PYTHONPATH": str(SOURCES)}
    with subprocess.Popen(argv, env=environment, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            assert server.stdout.readline() == "listening\n"
            yield path
        finally:
            server.kill()


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> "Said":
    monkeypatch.setattr("todo.probe.BUSY_TIMEOUT_S", 4.0)
    return Said(capsys)


class Said:
    """Runs the probe, and has what it printed."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def probe(self, check: str, path: str) -> tuple[int, str]:
        code = todo.probe.main([check, path])
        return code, self._capsys.readouterr().out.removesuffix(f" ({path})\n")


def test_a_server_whose_loop_turns_too_slowly_to_answer_is_alive(folder: Path, said: Said) -> None:
    with loop_server(folder, work_s=0.1) as path:
        answer = "no answer in time, but the event loop turns"
        assert said.probe("livez", path) == (0, f"livez: {answer}")
        assert said.probe("readyz", path) == (1, f"readyz: {answer}")


def test_a_callback_that_never_ends_is_a_hang(folder: Path, said: Said) -> None:
    with loop_server(folder, work_s=1e6) as path:
        assert said.probe("livez", path) == (1, "livez: no answer in time")


def test_an_idle_loop_that_answers_nobody_is_a_failure(
    folder: Path, said: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("todo.probe.BUSY_TIMEOUT_S", 100.0)
    monkeypatch.setattr("todo.probe.MAX_IDLE_S", 2.0)
    with loop_server(folder, work_s=0, pause_s=0.2) as path:
        assert said.probe("livez", path) == (1, "livez: no answer in time")


def test_a_running_service_counts_and_removes_its_file_at_the_end() -> None:
    with open_service({}) as service:
        service.wait_started()
        counter = Path(f"{service.folder}/probe.sock{COUNTER_SUFFIX}")
        assert int.from_bytes(counter.read_bytes(), "big") >= 1
        assert service.stop() == 0
        assert not counter.exists()
