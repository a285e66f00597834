"""The synchronous mode: a commit waits for the receiver of WAL."""

import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import psycopg
import pytest

from tests.integration.backup.backup_folder import BackupFolder, count
from tests.integration.cluster import Cluster
from tests.integration.service import open_service
from tests.integration.users import TASKS
from tests.machine_clock import wait_until

STREAMS = "SELECT 1 FROM pg_stat_replication WHERE sync_state = 'sync'"


@pytest.fixture
def synchronous(own_cluster: Cluster, url: str) -> Iterator[None]:
    """What the drop-in sets; the slot goes afterwards."""
    own_cluster.query(url, "ALTER SYSTEM SET synchronous_standby_names = 'todo_wal'")
    own_cluster.query(url, "SELECT pg_reload_conf()")
    yield
    own_cluster.query(url, "ALTER SYSTEM RESET synchronous_standby_names")
    own_cluster.query(url, "SELECT pg_reload_conf()")
    drop = "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots"
    own_cluster.query(url, drop)


def write_until_lost(cluster: Cluster, name: str, acknowledged: list[int]) -> None:
    """Commit one row after the other; note those that the server acknowledged."""
    with cluster.connect(name) as connection:
        try:
            while True:
                connection.execute("INSERT INTO written VALUES (1)")
                acknowledged.append(1)
        except psycopg.Error:
            return


@pytest.mark.usefixtures("synchronous")
def test_no_acknowledged_commit_is_lost_with_the_data_of_a_killed_server(
    folder: BackupFolder, own_cluster: Cluster, url: str, root: Path
) -> None:
    with folder.start("receive-wal", PGAPPNAME="todo_wal") as receiver:
        wait_until(lambda: bool(own_cluster.query(url, STREAMS)), "synchronous", within_s=600)
        stamp = folder.back_up()
        before = count(own_cluster, url)
        acknowledged: list[int] = []
        name = url.rpartition("?")[0].rpartition("/")[2]
        writer = threading.Thread(target=write_until_lost, args=(own_cluster, name, acknowledged))
        writer.start()
        wait_until(lambda: len(acknowledged) > 50, "writes", within_s=600)
        # What is not on the receiver's disk yet is lost with the server.
        own_cluster.stop(signal.SIGQUIT)
        writer.join()
        receiver.send_signal(signal.SIGTERM)
    restored = folder.restore(stamp, root / "restored")
    try:
        wait_until(
            lambda: count(restored, url) >= before + len(acknowledged), "restored", within_s=600
        )
    finally:
        restored.stop()
        own_cluster.start()


@pytest.mark.usefixtures("synchronous")
def test_without_its_receiver_a_write_is_answered_503_and_reads_are_served(url: str) -> None:
    with open_service({"TODO_DATABASE_URL": url}) as service:
        service.wait_ready()
        with service.client(service.token()) as client:
            written = client.post(TASKS, json={"title": "Water"})
            assert client.get(TASKS).status_code == httpx.codes.OK
            assert written.status_code == httpx.codes.SERVICE_UNAVAILABLE
