"""A backup folder of a running cluster, and restores of it by the script of the database image.

The folder has the layout of docs/backup.md, and PostgreSQL's own programs write it.
"""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from psycopg import OperationalError
from psycopg.sql import SQL, Identifier

from deploy.paths import REPO
from tests.integration.cluster import Cluster, find_postgres, unprivileged
from tests.machine_clock import wait_until

SCRIPT = REPO / "containers" / "db" / "restore.sh"
_WITHIN_S = 120
_SECOND = "%Y-%m-%dT%H:%M:%SZ"
_TABLES = (
    "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
)
_HASH = "SELECT md5(coalesce(string_agg(t::text, E'\\n' ORDER BY t::text), '')) FROM {} t"


class Backup:
    """A backup folder, and the server that it is of."""

    def __init__(self, root: Path, cluster: Cluster) -> None:
        self.root = root
        self.folder = root / "backup"
        self._cluster = cluster
        self._programs = find_postgres()
        self._receiver: subprocess.Popen[bytes] | None = None
        self.notify_socket = ""
        self._restores = 0
        # As the entry point does for the server of the image, whose settings are not in the volume.
        self._config = root / "postgresql.conf"
        self._config.write_text(f"hba_file = '{root}/pg_hba.conf'\nfsync = off\n")
        (root / "pg_hba.conf").write_text("local all all trust\n")
        for folder in (self.folder, self.folder / "base", self.folder / "wal"):
            folder.mkdir()
        self._give(root)

    def receive(self) -> None:
        """Start to receive WAL."""
        slot = [*self._program("pg_receivewal"), "--slot", "todo_wal", "--create-slot"]
        self._run([*slot, "--if-not-exists"])
        self._receiver = subprocess.Popen(
            [
                *self._program("pg_receivewal"),
                *("-D", self.folder / "wal", "--slot", "todo_wal", "--synchronous"),
            ],
            cwd="/",
            **unprivileged(),
        )
        wait_until(lambda: any((self.folder / "wal").iterdir()), "WAL", within_s=_WITHIN_S)

    def follow(self, cluster: Cluster) -> None:
        """Receive the WAL of another server, which was restored from this backup."""
        self._cluster = cluster
        (self.folder / "wal").mkdir()
        self._give(self.folder / "wal")
        self.receive()

    def leave(self) -> None:
        """Stop to receive WAL."""
        if self._receiver is not None:
            self._receiver.send_signal(signal.SIGINT)
            self._receiver.wait(_WITHIN_S)
            self._receiver = None

    def catch_up(self) -> None:
        """Wait until everything that was committed is in the folder."""
        with self._cluster.connect("postgres") as connection:
            (at,) = connection.execute("SELECT pg_current_wal_lsn()").fetchone() or ("",)
            wait_until(
                lambda: connection.execute(
                    "SELECT 1 FROM pg_stat_replication WHERE flush_lsn >= %s", [at]
                ).fetchone(),
                "a receiver that has everything",
                within_s=_WITHIN_S,
            )

    def take_base(self) -> str:
        """Take a base backup; return its stamp."""
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
        while (self.folder / "base" / stamp).exists():
            stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
        target = self.folder / "base" / stamp
        self._run(
            [
                *self._program("pg_basebackup"),
                *("-D", target, "-Fp", "-X", "stream", "--checkpoint", "fast", "--no-sync"),
                *("--manifest-checksums", "SHA256"),
            ]
        )
        ended = datetime.now(UTC).strftime(_SECOND)
        facts = json.dumps({"format": 1, "stamp": stamp, "ended_at": ended}, indent=0)
        target.with_name(f"{stamp}.json").write_text(facts)
        return stamp

    @staticmethod
    def pass_second() -> str:
        """Wait until the next second begins; return it, as the facts write times."""
        now = datetime.now(UTC).strftime(_SECOND)
        wait_until(
            lambda: datetime.now(UTC).strftime(_SECOND) > now, "a second", within_s=_WITHIN_S
        )
        return datetime.now(UTC).strftime(_SECOND)

    def switch_wal(self) -> str:
        """Begin the next WAL file; return the name of the one that is complete now."""
        with self._cluster.connect("postgres") as connection:
            connection.execute("SELECT pg_logical_emit_message(false, 'test', 'x')")
            found = connection.execute("SELECT pg_walfile_name(pg_switch_wal())").fetchone()
        assert found is not None
        self.catch_up()
        path = self.folder / "wal" / found[0]
        wait_until(path.exists, f"the complete {found[0]}", within_s=_WITHIN_S)
        return str(found[0])

    def restore(self, *options: str) -> tuple[Path, subprocess.CompletedProcess[str]]:
        """Run the script; return the folder of a cluster, and how the script ended."""
        self._restores += 1
        root = self.root / f"restored{self._restores}"
        root.mkdir()
        self._give(root)
        return root, self.restore_into(root, *options)

    def give(self, root: Path) -> None:
        """Give a folder to the user of the servers."""
        self._give(root)

    def restore_into(self, root: Path, *options: str) -> subprocess.CompletedProcess[str]:
        """As `restore`, into a folder that is there."""
        return subprocess.run(
            ["sh", SCRIPT, self.folder, root / "data", *options],
            env=self._environment(root),
            capture_output=True,
            text=True,
            check=False,
            cwd="/",
            **unprivileged(),
        )

    @contextlib.contextmanager
    def restored(self, *options: str) -> Iterator[Cluster]:
        """Restore, and run the server on the result for the length of the block."""
        root, done = self.restore(*options)
        assert done.returncode == 0, done.stderr
        assert sorted(path.name for path in root.iterdir()) == ["data"]
        cluster = Cluster(root)
        cluster.start()
        try:
            yield cluster
        finally:
            cluster.stop()

    def interrupt_drill(self, number: signal.Signals) -> Path:
        """Run the script of the drill, and send it a signal while it restores; its folder."""
        with self._started_drill() as (folder, process):

            def is_restoring() -> bool:
                assert process.poll() is None, self._explain()
                # A machine that is busy may see it only when it is done.
                return any((folder / name).exists() for name in ("data.new", "data"))

            wait_until(is_restoring, "a restore", within_s=_WITHIN_S, poll_s=0.001)
            process.send_signal(number)
            process.wait(_WITHIN_S)
        return folder

    @contextlib.contextmanager
    def drilling(self, change: Callable[[Cluster], None] = lambda _: None) -> Iterator[Path]:
        """Run the script of the drill; its folder, while its server runs or once it failed.

        Args:
            change: What somebody does to the copy before it is verified.
        """
        with self._started_drill() as (folder, process):
            copy = Cluster(folder / "run")

            def is_done() -> bool:
                with contextlib.suppress(OperationalError):
                    copy.connect("postgres").close()
                    return True
                return process.poll() is not None

            wait_until(is_done, "a restore", within_s=_WITHIN_S, explain=self._explain)
            if process.poll() is None:
                change(copy)
            yield folder

    @contextlib.contextmanager
    def _started_drill(self) -> Iterator[tuple[Path, subprocess.Popen[bytes]]]:
        folder, programs = self.root / "drill", self.root / "programs"
        if not programs.exists():
            folder.mkdir()
            programs.mkdir()
            self._make_program(programs / "restore", f'exec sh "{SCRIPT}" "$@"')
            serve = f'exec postgres -D "{folder}/data" -c config_file="{self._config}"'
            sockets = '-c listen_addresses= -c unix_socket_directories="$DB_SOCKET_DIR"'
            self._make_program(programs / "entrypoint", f'{serve} {sockets} "$@"')
            self._give(folder)
        environment = {
            **self._environment(folder),
            "BACKUP_FOLDER": str(self.folder),
            "DRILL_FOLDER": str(folder),
            "DB_SOCKET_DIR": str(folder / "run"),
        }
        environment["PATH"] = f"{programs}:{environment['PATH']}"
        log = (self.root / "drill.log").open("wb")
        process = subprocess.Popen(
            ["sh", SCRIPT.with_name("drill.sh")],
            env=environment, stdout=log, stderr=log, cwd="/", **unprivileged(),
        )  # fmt: skip
        try:
            yield folder, process
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(_WITHIN_S)
            log.close()

    def _explain(self) -> str:
        return (self.root / "drill.log").read_text()[-2000:]

    @staticmethod
    def _make_program(path: Path, command: str) -> None:
        path.write_text(f"#!/bin/sh\n{command}\n")
        path.chmod(0o755)

    def _environment(self, root: Path) -> dict[str, str]:
        return {
            "PATH": f"{self._programs}:{os.environ['PATH']}",
            "DB_CONFIG": str(self._config),
            "TMPDIR": str(root),
            **({"NOTIFY_SOCKET": self.notify_socket} if self.notify_socket else {}),
        }

    def _program(self, name: str) -> list[str | Path]:
        return [self._programs / name, "--host", str(self._cluster.root), "-U", "postgres"]

    def _run(self, argv: list[str | Path]) -> None:
        done = subprocess.run(
            argv, capture_output=True, text=True, check=False, cwd="/", **unprivileged()
        )
        assert done.returncode == 0, done.stderr

    @staticmethod
    def _give(path: Path) -> None:
        user = unprivileged()
        for each in [path, *path.rglob("*")] if user else ():
            os.chown(each, user["user"], user["group"])


@contextlib.contextmanager
def open_backup(cluster: Cluster) -> Iterator[Backup]:
    """Receive the WAL of a cluster into a new folder for the length of the block."""
    root = Path(tempfile.mkdtemp(prefix="todo-bk-"))
    try:
        backup = Backup(root, cluster)
        try:
            backup.receive()
            yield backup
        finally:
            backup.leave()
    finally:
        shutil.rmtree(root)


def hash_tables(cluster: Cluster, name: str) -> dict[str, str]:
    """Return a hash of the rows of each table of a database."""
    with cluster.connect(name) as connection:
        tables = [row[0] for row in connection.execute(_TABLES)]
        statements = {table: SQL(_HASH).format(Identifier(table)) for table in tables}
        found = {table: connection.execute(each).fetchone() for table, each in statements.items()}
    return {table: str(row[0]) for table, row in found.items() if row}
