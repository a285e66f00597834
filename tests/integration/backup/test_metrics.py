"""Metrics of backups, which the backend exports from records in the database."""

import re
import signal
import time
from collections.abc import Iterator

import pytest

from tests.integration.backup.backup_folder import BackupFolder
from tests.integration.cluster import Cluster
from tests.integration.service import Service, open_service
from tests.machine_clock import wait_until


@pytest.fixture(scope="module")
def backend(url: str) -> Iterator[Service]:
    """A backend in a role that may not see what other roles do."""
    with open_service({"TODO_DATABASE_URL": url}) as service:
        service.wait_ready()
        yield service


def scrape(service: Service) -> dict[str, float]:
    text = service.get_check("metrics").text
    found = re.findall(r"^todo_backup_(\w+) (\S+)$", text, re.MULTILINE)
    return {name: float(value) for name, value in found}


def wait_for(service: Service, **values: float) -> None:
    wait_until(
        lambda: values.items() <= scrape(service).items(),
        f"metrics with {values}",
        within_s=600,
        explain=lambda: str(scrape(service)),
    )


def test_without_backups_there_are_no_metrics_of_them(backend: Service) -> None:
    assert scrape(backend) == {}


def test_the_last_backup_has_time_size_and_outcome(backend: Service, folder: BackupFolder) -> None:
    stamp = folder.back_up()
    wait_for(backend, ok=1, size_bytes=folder.facts(stamp)["bytes"])
    made_at = scrape(backend)["timestamp_seconds"]
    assert abs(time.time() - made_at) < 3600
    # A run in the second of the last one counts as a success.
    time.sleep(1.1)
    folder.replace_program("df", "#!/bin/sh\necho Avail\necho 1048576\n")
    assert folder.run("make-backup")[0] == 74
    wait_for(backend, ok=0, timestamp_seconds=made_at)
    folder.drop_program("df")
    folder.back_up()
    wait_for(backend, ok=1)


def test_wal_that_is_not_received_is_counted(
    backend: Service, folder: BackupFolder, own_cluster: Cluster, url: str
) -> None:
    with folder.start("receive-wal", PGAPPNAME="todo_wal") as receiver:
        wait_for(backend, wal_receiving=1)
        receiver.send_signal(signal.SIGTERM)
    wait_for(backend, wal_receiving=0)
    own_cluster.query(url, "SELECT pg_switch_wal()")
    own_cluster.query(url, "INSERT INTO written VALUES (1)")
    wait_until(lambda: scrape(backend)["wal_lag_bytes"] > 0, "WAL behind", within_s=600)
    own_cluster.query(url, "SELECT pg_drop_replication_slot('todo_wal')")
    wait_until(lambda: "wal_lag_bytes" not in scrape(backend), "no slot", within_s=600)
