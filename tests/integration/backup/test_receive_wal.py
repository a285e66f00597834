"""The WAL receiver, what a restore gets of it, and what may be removed."""

import contextlib
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.integration.backup.backup_folder import BackupFolder, count, wait_received
from tests.integration.cluster import Cluster
from tests.machine_clock import wait_until

Receive = Callable[[], contextlib.AbstractContextManager[subprocess.Popen[str]]]


@pytest.fixture
def receive(folder: BackupFolder, own_cluster: Cluster, url: str) -> Iterator[Receive]:
    """Runs the receiver for the length of a block; the slot goes afterwards."""

    @contextlib.contextmanager
    def run() -> Iterator[subprocess.Popen[str]]:
        with folder.start("receive-wal", PGAPPNAME="todo_wal") as process:
            try:
                streams = "SELECT 1 FROM pg_stat_replication WHERE application_name = 'todo_wal'"
                arrives = lambda: bool(own_cluster.query(url, streams))  # noqa: E731
                wait_until(arrives, "WAL arrives", within_s=600)
                yield process
            finally:
                process.send_signal(signal.SIGTERM)

    yield run
    drop = "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE NOT active"
    wait_until(
        lambda: (
            own_cluster.query(url, drop) is not None
            and not own_cluster.query(url, "SELECT 1 FROM pg_replication_slots")
        ),
        "the slot is gone",
        within_s=600,
    )


def write(cluster: Cluster, url: str, rows: int = 100) -> int:
    """Write rows and end the segment of WAL; the number of rows afterwards."""
    cluster.query(url, f"INSERT INTO written SELECT generate_series(1, {rows})")
    cluster.query(url, "SELECT pg_switch_wal()")
    return count(cluster, url)


def test_a_restore_has_every_row_that_was_received_before_the_server_was_lost(
    folder: BackupFolder, receive: Receive, own_cluster: Cluster, url: str, root: Path
) -> None:
    with receive():
        stamp = folder.back_up()
        for _ in range(3):
            write(own_cluster, url)
        # In the segment that is not complete.
        own_cluster.query(url, "INSERT INTO written VALUES (1)")
        written = count(own_cluster, url)
        wait_received(own_cluster)
        own_cluster.stop(signal.SIGQUIT)
        try:
            restored = folder.restore(stamp, root / "restored")
            try:
                wait_until(lambda: count(restored, url) == written, "restored", within_s=600)
            finally:
                restored.stop()
        finally:
            own_cluster.start()


def test_the_receiver_continues_after_restarts_of_both_sides(
    folder: BackupFolder, receive: Receive, own_cluster: Cluster, url: str
) -> None:
    with receive():
        write(own_cluster, url)
    write(own_cluster, url)
    with receive():
        own_cluster.stop()
        own_cluster.start()
        write(own_cluster, url)
        wait_received(own_cluster)
    segments = [int(name, 16) for name in folder.find_segments()]
    assert len(segments) >= 3
    assert segments == list(range(segments[0], segments[0] + len(segments)))


def test_health_is_whether_wal_arrives(
    folder: BackupFolder, receive: Receive, own_cluster: Cluster
) -> None:
    def is_healthy() -> bool:
        return folder.run("receive-wal", "health", PGAPPNAME="todo_wal")[0] == 0

    with receive() as receiver:
        assert is_healthy()
        os.kill(receiver.pid, signal.SIGKILL)
        receiver.wait()
        wait_until(lambda: not is_healthy(), "the server notices", within_s=600)
        own_cluster.stop()
        assert is_healthy(), "a server that is away is healed by nothing here"
        own_cluster.start()


def test_wal_that_the_server_removed_is_a_gap_and_a_new_start(
    folder: BackupFolder, receive: Receive, own_cluster: Cluster, url: str
) -> None:
    with receive():
        former = folder.back_up()
        write(own_cluster, url)
        wait_received(own_cluster)
    own_cluster.query(url, "ALTER SYSTEM SET max_slot_wal_keep_size = '1MB'")
    own_cluster.query(url, "SELECT pg_reload_conf()")
    lost = "SELECT 1 FROM pg_replication_slots WHERE wal_status = 'lost'"

    def lose() -> bool:
        write(own_cluster, url)
        own_cluster.query(url, "CHECKPOINT")
        return bool(own_cluster.query(url, lost))

    try:
        wait_until(lose, "the slot has lost WAL", within_s=600)
    finally:
        own_cluster.query(url, "ALTER SYSTEM RESET max_slot_wal_keep_size")
        own_cluster.query(url, "SELECT pg_reload_conf()")
    with receive():
        write(own_cluster, url)
        wait_received(own_cluster)
        (aside,) = folder.path.glob("wal.*Z")
        assert folder.facts(former)["wal_start"] in {path.name for path in aside.iterdir()}
        # Backups from before it need what was set aside.
        folder.rename(former, "20260101T030000Z")
        folder.back_up()
        assert aside.exists()
        folder.back_up(BACKUP_KEEP_DAILY="1")
        assert not aside.exists()


@pytest.mark.parametrize("daily", [1, 2, 3])
def test_no_wal_goes_that_a_kept_daily_backup_needs(
    folder: BackupFolder, receive: Receive, own_cluster: Cluster, url: str, daily: int, root: Path
) -> None:
    with receive():
        for number in range(3):
            folder.rename(folder.back_up(), f"2026010{number + 1}T030000Z")
            write(own_cluster, url)
        options = {"BACKUP_KEEP_DAILY": str(daily)}
        folder.back_up(**options, BACKUP_KEEP_WEEKLY="0", BACKUP_KEEP_MONTHLY="0")
        written = write(own_cluster, url)
        wait_received(own_cluster)
    stamps = folder.find_stamps()
    assert len(stamps) == daily
    oldest = folder.facts(stamps[0])["wal_start"][8:]
    segments = folder.find_segments()
    # All of it, and nothing else.
    assert segments[0] == oldest
    restored = folder.restore(stamps[0], root / "restored")
    try:
        wait_until(lambda: count(restored, url) == written, "restored", within_s=600)
    finally:
        restored.stop()
