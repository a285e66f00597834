"""A throwaway PostgreSQL cluster on a Unix socket, and with TLS on loopback if asked."""

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg

from tests.integration import schema_sources
from tests.integration.certificates import Authority
from tests.machine_clock import wait_until

START_TIMEOUT_S = 120
BACKEND_ROLE = "todo"
OWNER_ROLE = "todo_owner"
"""As in the database image: the role that migrates, and owns what there is."""


def find_postgres() -> Path:
    """Return the folder of PostgreSQL's programs.

    Raises:
        FileNotFoundError: There is none.
    """
    if found := shutil.which("initdb"):
        return Path(found).resolve().parent
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not folders:
        msg = "no PostgreSQL here: apt-get install -y --no-install-recommends postgresql"
        raise FileNotFoundError(msg)
    return folders[-1].parent


def find_free_port() -> int:
    """Return a port of loopback that nothing listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def unprivileged() -> dict[str, Any]:
    """Arguments of `subprocess` that start a program as an unprivileged user."""
    if os.geteuid() != 0:
        return {}
    names = {entry.pw_name for entry in pwd.getpwall()}
    entry = pwd.getpwnam("postgres" if "postgres" in names else "nobody")
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


def name_of(url: str) -> str:
    """Return the name of the database that an address leads to."""
    return url.rpartition("?")[0].rpartition("/")[2]


class Cluster:
    """One cluster; may be stopped, started and suspended at will."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._programs = find_postgres()
        self._server: subprocess.Popen[bytes] | None = None
        self._databases = 0
        self._template = ""
        self._port = 5432
        self._network: list[str] = ["-c", "listen_addresses="]

    def create(self) -> None:
        if os.geteuid() == 0:
            os.chown(self.root, unprivileged()["user"], unprivileged()["group"])
        # fmt: off
        subprocess.run(
            [
                self._programs / "initdb",
                "--pgdata", self.root / "data",
                "--auth", "trust",
                "--username", "postgres",
                "--encoding", "UTF8",
                "--no-sync",
            ],
            check=True, capture_output=True, cwd="/", **unprivileged(),
        )
        # fmt: on

    def serve_tls(self, authority: Authority, host: str) -> int:
        """Listen on a loopback port from the next start on, with TLS and passwords only."""
        certificate, key = self.root / "server.crt", self.root / "server.key"
        authority.issue(host, certificate, key)
        if os.geteuid() == 0:
            os.chown(key, unprivileged()["user"], unprivileged()["group"])
        with (self.root / "data" / "pg_hba.conf").open("w") as rules:
            rules.write("local all all trust\nhostssl all all 127.0.0.1/32 scram-sha-256\n")
        self._port = find_free_port()
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": self._port,
            "ssl": "on",
            "ssl_cert_file": certificate,
            "ssl_key_file": key,
        }
        self._network = [
            word for name, value in settings.items() for word in ("-c", f"{name}={value}")
        ]
        return self._port

    @property
    def pid(self) -> int:
        """The server that all its other processes are children of."""
        assert self._server is not None
        return self._server.pid

    def start(self, *, connections: int = 40, buffers: str = "16MB") -> None:
        log = (self.root / "log").open("ab")
        # fmt: off
        self._server = subprocess.Popen(
            [
                self._programs / "postgres",
                "-D", self.root / "data",
                *self._network,
                "-c", f"unix_socket_directories={self.root}",
                "-c", f"max_connections={connections}",
                "-c", "fsync=off",
                "-c", f"shared_buffers={buffers}",
            ],
            stdout=log, stderr=log, cwd="/", start_new_session=True, **unprivileged(),
        )
        # fmt: on
        log.close()
        wait_until(
            self._accepts_connections,
            "a PostgreSQL that accepts connections",
            within_s=START_TIMEOUT_S,
            explain=self._explain,
        )

    def _accepts_connections(self) -> bool:
        assert self._server is not None
        if self._server.poll() is not None:
            raise TimeoutError(f"PostgreSQL did not start: {self._explain()}")
        with contextlib.suppress(psycopg.OperationalError):
            self.connect("postgres").close()
            return True
        return False

    def _explain(self) -> str:
        return (self.root / "log").read_text()[-2000:]

    def stop(self, number: signal.Signals = signal.SIGINT) -> None:
        """Stop the server: SIGINT asks it to end its clients' connections too."""
        if self._server is None:
            return
        self.resume()
        self._server.send_signal(number)
        try:
            self._server.wait(120)
        except subprocess.TimeoutExpired:
            os.killpg(self._server.pid, signal.SIGKILL)
            self._server.wait()
        self._server = None

    def suspend(self) -> None:
        """Let the server and all its processes hang."""
        self._signal_all(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal_all(signal.SIGCONT)

    def _signal_all(self, number: signal.Signals) -> None:
        # Each of its processes leads a session of its own, so the group is not enough.
        assert self._server is not None
        children = Path(f"/proc/{self._server.pid}/task/{self._server.pid}/children")
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            for pid in [self._server.pid, *map(int, children.read_text().split())]:
                os.kill(pid, number)

    def make_database(self, owner: str = BACKEND_ROLE) -> str:
        """Create an empty database that a role owns; return its address for that role.

        With `schema_sources.VARIABLE` it has their schema.
        """
        if self._databases == 0:
            self._create_roles()
        sources = schema_sources.find_sources()
        if sources and not self._template:
            url = self._create_database(owner, "template1")
            schema_sources.migrate_by(sources, url)
            self._template = name_of(url)
        return self._create_database(owner, self._template or "template1")

    def _create_roles(self) -> None:
        with self.connect("postgres") as connection:
            connection.execute(f"CREATE ROLE {BACKEND_ROLE} LOGIN PASSWORD 'open sesame'")
            connection.execute(f"CREATE ROLE {OWNER_ROLE} LOGIN")
            connection.execute(f"GRANT {BACKEND_ROLE} TO {OWNER_ROLE}")

    def _create_database(self, owner: str, template: str) -> str:
        self._databases += 1
        name = f"todo{self._databases}"
        statement = f"CREATE DATABASE {name} OWNER {owner} TEMPLATE {template}"
        with self.connect("postgres") as connection:
            connection.execute(statement.encode())
        return f"postgresql+psycopg://{owner}@/{name}?host={self.root}"

    def hand_over(self, url: str) -> str:
        """Do what the database image does: give a database to the role that migrates.

        Args:
            url: Its address for the backend's role.

        Returns:
            Its address for the owner.
        """
        name = name_of(url)
        for statement in (
            f"ALTER DATABASE {name} OWNER TO {OWNER_ROLE}",
            f"REVOKE ALL ON DATABASE {name} FROM PUBLIC",
            f"GRANT CONNECT ON DATABASE {name} TO {BACKEND_ROLE}",
        ):
            self.query(url, statement)
        return url.replace(f"//{BACKEND_ROLE}@", f"//{OWNER_ROLE}@")

    def query(self, url: str, statement: str) -> list[tuple[Any, ...]]:
        """Run a statement as the superuser in the database of an address."""
        name = name_of(url)
        with self.connect(name) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def connect(self, name: str) -> psycopg.Connection[tuple[Any, ...]]:
        """Connect to a database as the superuser."""
        return psycopg.connect(
            host=str(self.root),
            port=self._port,
            dbname=name,
            user="postgres",
            autocommit=True,
            connect_timeout=START_TIMEOUT_S,
        )


@contextlib.contextmanager
def open_cluster() -> Iterator[Cluster]:
    """Run a cluster for the length of the block; nothing is left behind."""
    root = Path(tempfile.mkdtemp(prefix="todo-pg-"))
    try:
        cluster = Cluster(root)
        try:
            cluster.create()
            cluster.start()
            yield cluster
        finally:
            cluster.stop()
    finally:
        shutil.rmtree(root)
