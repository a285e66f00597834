"""A new database in place of the one of the backups, as after the loss of its volume."""

from collections.abc import Iterator

import pytest

from tests.integration.backup.backup_folder import BackupFolder, make_roles
from tests.integration.cluster import Cluster, name_of, open_cluster


@pytest.fixture(scope="module")
def other() -> Iterator[dict[str, str]]:
    """The address of an empty cluster, for the programs."""
    with open_cluster() as cluster:
        url = cluster.make_database()
        make_roles(cluster, url)
        yield {"PGHOST": str(cluster.root), "PGDATABASE": name_of(url)}


def read_all(folder: BackupFolder) -> dict[str, bytes]:
    """Files in the folder, except the outcome of the last run."""
    return {
        str(path.relative_to(folder.path)): path.read_bytes()
        for path in folder.path.rglob("*")
        if path.is_file() and path.name != "state.json"
    }


def test_wal_of_another_database_is_not_received(
    folder: BackupFolder, other: dict[str, str]
) -> None:
    folder.back_up()
    before = read_all(folder)

    code, output = folder.run("receive-wal", **other, PGAPPNAME="todo_wal")

    assert code == 78
    assert output == (
        "todo_wal: this is not the database of the backups: restore that one (build.py restore), "
        "or move the backup folder aside to begin anew\n"
    )
    assert read_all(folder) == before


def test_another_database_is_not_backed_up(folder: BackupFolder, other: dict[str, str]) -> None:
    stamp = folder.back_up()
    before = read_all(folder)

    code, output = folder.run("make-backup", **other)

    assert code == 78
    assert output.startswith("todo-backup: the database is not the one of the former backups: ")
    assert (folder.outcome()["ok"], folder.find_stamps()) == (False, [stamp])
    assert read_all(folder) == before


def test_the_database_of_the_backups_is_known_after_a_restore(
    folder: BackupFolder, own_cluster: Cluster
) -> None:
    assert folder.run("check-database") == (0, "")
    folder.back_up()
    assert folder.run("check-database") == (0, "")
    own_cluster.stop()
    own_cluster.start()
    assert folder.run("check-database") == (0, "")
