import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.backup.backup_folder import BackupFolder, make_roles
from tests.integration.backup.backup_source import Served, Source, open_served
from tests.integration.backup.restores import open_backup
from tests.integration.cluster import Cluster
from tests.integration.conftest import migrate_as_owner


@pytest.fixture(scope="module")
def url(own_cluster: Cluster) -> str:
    """The address of a migrated database, with a table that the tests write."""
    found = own_cluster.make_database()
    migrate_as_owner(own_cluster.hand_over(found))
    make_roles(own_cluster, found)
    own_cluster.query(found, "CREATE TABLE written (number int)")
    return found


@pytest.fixture
def root() -> Iterator[Path]:
    """A folder that the account of PostgreSQL can enter."""
    found = Path(tempfile.mkdtemp(prefix="todo-backup-"))
    found.chmod(0o755)
    yield found
    shutil.rmtree(found)


@pytest.fixture
def folder(root: Path, own_cluster: Cluster, url: str) -> BackupFolder:
    return BackupFolder(root, own_cluster, url)


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    with open_served() as found:
        yield found


@pytest.fixture
def source(served: Served) -> Iterator[Source]:
    """With one task before the base backup, and one after it."""
    with open_backup(served[0]) as backup:
        source = Source(*served, backup)
        source.write("before the base backup")
        backup.take_base()
        source.write("after it")
        yield source
