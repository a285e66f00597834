"""A backup folder beside a cluster, and the programs of the database image that work on it."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import psycopg

from deploy.paths import REPO
from tests.integration.cluster import Cluster, find_postgres, name_of, unprivileged
from tests.machine_clock import wait_until

SCRIPTS = REPO / "containers" / "db"
ROLE = "todo_backup"
PROGRAMS = ("check-database", "keep-backups", "make-backup", "receive-wal", "record-outcome")
_STATEMENTS = re.compile(r"run_alone \"\$1\" << END\n(.*?)\nEND\n", re.DOTALL)


def render_role_statements(database: str) -> list[str]:
    """The statements by which the entry point makes the roles, for a database of that name."""
    (found,) = _STATEMENTS.findall((SCRIPTS / "entrypoint.sh").read_text())
    names = {
        "DB_BACKUP_ROLE": ROLE,
        "DB_NAME": database,
        "DB_OWNER_ROLE": "todo_owner",
        "DB_ROLE": "todo",
        "2-": "",
    }
    # As a here-document expands them.
    for name, value in names.items():
        found = found.replace(f"${{{name}}}", value).replace(f"${name}", value)
    return [line for line in found.splitlines() if line]


def make_roles(cluster: Cluster, url: str) -> None:
    """Do what the entry point does at each change of the roles."""
    with cluster.connect("postgres") as connection:
        for statement in render_role_statements(name_of(url)):
            connection.execute(statement.encode())


class BackupFolder:
    """The folder and the programs.

    Args:
        root: An empty folder.
        cluster: What is backed up.
        url: The address of the service's database in it.
    """

    def __init__(self, root: Path, cluster: Cluster, url: str) -> None:
        self.path = root / "backup"
        self.wal = self.path / "wal"
        self._bin = root / "bin"
        for folder in (self.path, self._bin):
            folder.mkdir()
        for name in PROGRAMS:
            script = (SCRIPTS / f"{name.replace('-', '_')}.sh").read_text()
            self.replace_program(name, script)
        for each in (root, self.path, self._bin):
            if os.geteuid() == 0:
                os.chown(each, unprivileged()["user"], unprivileged()["group"])
        self._environment = {
            "PATH": f"{self._bin}:{find_postgres()}:{os.environ['PATH']}",
            "PGHOST": str(cluster.root),
            "PGUSER": ROLE,
            "PGDATABASE": name_of(url),
            "BACKUP_FOLDER": str(self.path),
        }

    def replace_program(self, name: str, script: str) -> None:
        """Put a program in front of those of the same name."""
        path = self._bin / name
        path.write_text(script)
        path.chmod(0o755)

    def drop_program(self, name: str) -> None:
        """Use the real program again."""
        (self._bin / name).unlink()

    def start(self, name: str, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        """Start a program in a process group of its own."""
        return subprocess.Popen(
            [self._bin / name, *arguments],
            env={**self._environment, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd="/",
            start_new_session=True,
            **unprivileged(),
        )

    def run(self, name: str, *arguments: str, **environment: str) -> tuple[int, str]:
        """Run a program; its exit code and what it printed."""
        process = self.start(name, *arguments, **environment)
        output, _ = process.communicate()
        return process.returncode, output

    def back_up(self, **environment: str) -> str:
        """Make a backup; its stamp."""
        code, output = self.run("make-backup", **environment)
        assert code == 0, output
        return self.find_stamps()[-1]

    def find_stamps(self) -> list[str]:
        """The backups, oldest first."""
        return sorted(path.name for path in (self.path / "base").glob("[!.]*Z"))

    def facts(self, stamp: str) -> dict[str, Any]:
        found = json.loads((self.path / "base" / f"{stamp}.json").read_text())
        assert isinstance(found, dict)
        return found

    def outcome(self) -> dict[str, Any]:
        found = json.loads((self.path / "state.json").read_text())["backup"]
        assert isinstance(found, dict)
        return found

    def rename(self, stamp: str, to: str) -> None:
        """Let a backup be one of another time."""
        base = self.path / "base"
        for path in (base / stamp, base / f"{stamp}.heads", self.path / "files" / stamp):
            if path.exists():
                path.rename(path.with_name(path.name.replace(stamp, to)))
        facts = base / f"{stamp}.json"
        facts.with_name(f"{to}.json").write_text(facts.read_text().replace(stamp, to))
        facts.unlink()

    def find_segments(self) -> list[str]:
        """The complete segments of WAL, without the number of their timeline."""
        return sorted(path.name[8:] for path in self.wal.iterdir() if len(path.name) == 24)

    def restore(self, stamp: str, root: Path) -> Cluster:
        """Start a cluster from a backup and all WAL that was received."""
        restored = Cluster(root)
        shutil.copytree(self.path / "base" / stamp, root / "data")
        settings = f"restore_command = 'cp {self.wal}/%f %p || cp {self.wal}/%f.partial %p'\n"
        with (root / "data" / "postgresql.auto.conf").open("a") as file:
            file.write(f"{settings}hba_file = '{root}/hba'\n")
        (root / "hba").write_text("local all all trust\n")
        (root / "data" / "recovery.signal").touch()
        if os.geteuid() == 0:
            user, group = unprivileged()["user"], unprivileged()["group"]
            for path in (root, *root.rglob("*")):
                os.chown(path, user, group)
        restored.start()
        return restored


def wait_received(cluster: Cluster) -> None:
    """Wait until all WAL that the server has now is on the receiver's disk."""
    with cluster.connect("postgres") as connection:
        ((end,),) = connection.execute("SELECT pg_current_wal_flush_lsn()::text").fetchall()

        def is_received() -> bool:
            statement = "SELECT 1 FROM pg_stat_replication WHERE flush_lsn >= %s::pg_lsn"
            return bool(connection.execute(statement, [end]).fetchall())

        wait_until(is_received, "all WAL received", within_s=600)


def count(cluster: Cluster, url: str) -> int:
    """The rows of the table that the tests write."""
    ((found,),) = cluster.query(url, "SELECT count(*) FROM written")
    return int(found)


def connect_as(cluster: Cluster, url: str, role: str) -> psycopg.Connection[tuple[Any, ...]]:
    return psycopg.connect(host=str(cluster.root), dbname=name_of(url), user=role, autocommit=True)
