"""A throwaway PgBouncer in front of a cluster, on a Unix socket."""

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg

from deploy.dev import suite_programs
from tests.integration.cluster import START_TIMEOUT_S, Cluster, unprivileged
from tests.machine_clock import wait_until

PASSWORD = "open sesame"  # noqa: S105 - what the cluster gives the role
_PORT = 6432


class Pooler:
    """One PgBouncer in transaction mode; may be ended and started at will."""

    def __init__(self, root: Path, cluster: Cluster) -> None:
        program = suite_programs.find_pgbouncer()
        assert program, "no PgBouncer here: python3 build.py test integration fetches it"
        self.root = root
        # Where it is may be closed to the user that it runs as.
        for file in (program, *program.parent.glob("*.so.*")):
            shutil.copy(file, root)
        settings = {
            "unix_socket_dir": root,
            "listen_port": _PORT,
            "auth_type": "scram-sha-256",
            "auth_file": root / "users",
            "pool_mode": "transaction",
            "default_pool_size": 2,
            "max_client_conn": 200,
            # As docs/database.md advises.
            "server_login_retry": 1,
        }
        lines = [f"{name} = {value}\n" for name, value in settings.items()]
        (root / "users").write_text(f'"todo" "{PASSWORD}"\n')
        (root / "pgbouncer.ini").write_text(
            f"[databases]\n* = host={cluster.root}\n[pgbouncer]\n{''.join(lines)}"
        )
        if os.geteuid() == 0:
            for path in (root, *root.iterdir()):
                os.chown(path, unprivileged()["user"], unprivileged()["group"])
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> str:
        return (self.root / "log").read_text()

    @property
    def is_running(self) -> bool:
        """Whether what was started last has not ended by itself."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        with (self.root / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self.root / "pgbouncer", self.root / "pgbouncer.ini"],
                env={"LD_LIBRARY_PATH": str(self.root)},
                stdout=log,
                stderr=log,
                cwd="/",
                **unprivileged(),
            )

        def listens() -> bool:
            if not self.is_running:
                raise TimeoutError(f"PgBouncer did not start: {self.log[-2000:]}")
            return (self.root / f".s.PGSQL.{_PORT}").is_socket()

        wait_until(
            listens,
            "a PgBouncer that listens",
            within_s=START_TIMEOUT_S,
            explain=lambda: self.log[-2000:],
            poll_s=0.02,
        )

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """End it at once, with what its clients have under way."""
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait()
            self._process = None
            (self.root / f".s.PGSQL.{_PORT}").unlink(missing_ok=True)

    def route(self, url: str) -> str:
        """Return the address of a database of the cluster through here."""
        return f"{url.partition('?')[0]}?host={self.root}&port={_PORT}"

    def connect(self, url: str) -> psycopg.Connection[tuple[str, ...]]:
        """Connect to a database of the cluster through here, as the backend's role."""
        return psycopg.connect(
            self.route(url).replace("+psycopg", ""),
            password=PASSWORD,
            prepare_threshold=None,
            autocommit=True,
        )


@contextlib.contextmanager
def open_pooler(cluster: Cluster) -> Iterator[Pooler]:
    """Run a PgBouncer for the length of the block; nothing is left behind."""
    root = Path(tempfile.mkdtemp(prefix="todo-bouncer-"))
    try:
        pooler = Pooler(root, cluster)
        try:
            pooler.start()
            yield pooler
        finally:
            pooler.stop()
    finally:
        shutil.rmtree(root)
