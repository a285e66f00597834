"""A service that is written to, and a backup of its database."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

from tests.integration.backup.restores import Backup, hash_tables
from tests.integration.cluster import Cluster, name_of, open_cluster
from tests.integration.service import open_service
from tests.integration.users import TASKS, Person, invite, read


@dataclass
class Source:
    """A service under a backup."""

    cluster: Cluster
    database: str
    alice: Person
    backup: Backup

    def write(self, title: str, run: str = "") -> None:
        headers = {"X-Run-Id": run} if run else {}
        read(self.alice.http.post(TASKS, json={"title": title}, headers=headers), 201)

    def ask(self, statement: str, cluster: Cluster | None = None) -> list[str]:
        with (cluster or self.cluster).connect(self.database) as connection:
            return [str(row[0]) for row in connection.execute(statement.encode())]

    def titles(self, cluster: Cluster | None = None) -> list[str]:
        return self.ask("SELECT title FROM task ORDER BY created_at", cluster)

    def hash(self, cluster: Cluster | None = None) -> dict[str, str]:
        return hash_tables(cluster or self.cluster, self.database)

    def lose(self, name: str) -> None:
        (self.backup.folder / "wal" / name).unlink()


Served = tuple[Cluster, str, Person]


@contextlib.contextmanager
def open_served() -> Iterator[Served]:
    """Run a service on a cluster of its own: the cluster, the name of the database, a user."""
    with open_cluster() as cluster, contextlib.ExitStack() as stack:
        url = cluster.make_database()
        options = {"TODO_DATABASE_URL": url, "TODO_DATABASE_MIGRATE": "startup"}
        service = stack.enter_context(open_service(options))
        service.wait_ready()
        yield cluster, name_of(url), stack.enter_context(invite(service))("alice")
