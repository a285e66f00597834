import asyncio
from pathlib import Path

import pytest

from todo.probe import COUNTER_SUFFIX
from todo.server import loop_heartbeat
from todo.server.loop_heartbeat import LoopHeartbeat


def read(folder: Path) -> int:
    return int.from_bytes((folder / f"p.sock{COUNTER_SUFFIX}").read_bytes(), "big")


def test_a_loop_that_turns_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop_heartbeat, "_INTERVAL_S", 0.001)

    async def run() -> None:
        counter = LoopHeartbeat(f"{tmp_path}/p.sock")
        counter.start()
        seen = {read(tmp_path)}
        async with asyncio.timeout(120):
            while len(seen) < 3:
                await asyncio.sleep(0)
                seen.add(read(tmp_path))
        counter.close()

    asyncio.run(run())

    assert list(tmp_path.iterdir()) == []


def test_the_file_of_a_successor_stays(tmp_path: Path) -> None:
    async def run() -> None:
        first, second = LoopHeartbeat(f"{tmp_path}/p.sock"), LoopHeartbeat(f"{tmp_path}/p.sock")
        second.start()
        first.close()
        assert read(tmp_path) == 1
        second.close()

    asyncio.run(run())


def test_a_folder_that_takes_no_file_is_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def run() -> None:
        counter = LoopHeartbeat(f"{tmp_path}/missing/p.sock")
        counter.start()
        counter.close()

    asyncio.run(run())

    (record,) = caplog.records
    assert "No such file or directory" in record.getMessage()
