"""Backends that Prometheus watches, and the faults of each: blocks in which they last."""

import contextlib
import itertools
import json
import resource
import shutil
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import httpx

from tests.integration.assistant import model_server
from tests.integration.assistant.model_server import ModelServer
from tests.integration.backup.backup_folder import BackupFolder
from tests.integration.cluster import Cluster, find_free_port
from tests.integration.database_faults import Weather
from tests.integration.service import SOURCES, Service
from tests.integration.users import TASKS

if TYPE_CHECKING:
    import subprocess

ASSISTANT = "/api/v1/assistant"
# No rule decides this, so the model is needed.
_UNDECIDED = {"message": "hmm, my head is spinning"}
_PAUSE_S = 0.2
_CONNECTIONS = 40
_SEGMENTS = 20
"""WAL has 16 MiB each: more than the 256 MiB of TodoBackupWalBehind."""


class Backend:
    """A backend with its management socket on a port, which may be replaced.

    Attributes:
        address: What Prometheus scrapes.
        service: The process that runs now.
    """

    def __init__(self, folder: Path, options: Mapping[str, str]) -> None:
        folder.mkdir()
        self.address = f"127.0.0.1:{find_free_port()}"
        self._folder = folder
        self._options = {**options, "TODO_MANAGEMENT_BIND": self.address}
        self.service = self.start()

    def start(self, **options: str) -> Service:
        """Start it, in place of a process that has ended."""
        self.service = Service(self._folder, {**self._options, **options})
        self.service.wait_started()
        return self.service

    def kill(self) -> None:
        self.service.stop(signal.SIGKILL)


@contextlib.contextmanager
def open_backend(folder: Path, **options: str) -> Iterator[Backend]:
    """Run a backend for the length of the block."""
    backend = Backend(folder, options)
    try:
        yield backend
    finally:
        backend.kill()


def copy_sources(folder: Path, version: str) -> dict[str, str]:
    """Copy the program as one of another version; the options that run it."""
    shutil.copytree(SOURCES / "todo", folder / "todo", ignore=shutil.ignore_patterns("*.pyc"))
    about = folder / "todo" / "__init__.py"
    text = about.read_text()
    changed = [
        f'__version__ = "{version}"' if line.startswith("__version__ = ") else line
        for line in text.splitlines()
    ]
    assert changed != text.splitlines()
    about.write_text("\n".join(changed))
    return {"PYTHONPATH": str(folder)}


@contextlib.contextmanager
def repeating(*acts: Callable[[], object]) -> Iterator[None]:
    """Do these again and again, each in a thread of its own."""
    over = threading.Event()

    def repeat(act: Callable[[], object]) -> None:
        while not over.wait(_PAUSE_S):
            with contextlib.suppress(httpx.TransportError):
                act()

    threads = [threading.Thread(target=repeat, args=[act]) for act in acts]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join()


@contextlib.contextmanager
def using(backend: Backend, *users: str, message: bool = False) -> Iterator[None]:
    """Let users read their tasks, or write to the assistant, all the time."""
    with contextlib.ExitStack() as stack:
        clients = [
            stack.enter_context(backend.service.client(backend.service.token(user)))
            for user in users
        ]

        def act(client: httpx.Client) -> None:
            if message:
                client.post(ASSISTANT, json=_UNDECIDED)
            else:
                client.get(TASKS)

        stack.enter_context(repeating(*(lambda client=client: act(client) for client in clients)))
        yield


@contextlib.contextmanager
def killed_database(backend: Backend, cluster: Cluster) -> Iterator[None]:
    """Its database is killed, and users call all the same."""
    cluster.stop(signal.SIGQUIT)
    try:
        with using(backend, "ann"):
            yield
    finally:
        cluster.start()


@contextlib.contextmanager
def locked_tasks(backend: Backend, cluster: Cluster, url: str) -> Iterator[None]:
    """Somebody has locked the table of tasks, and more users wait than there are connections."""
    users = [f"user-{number}" for number in range(6)]
    with Weather(cluster, url).slow(), using(backend, *users):
        yield


@contextlib.contextmanager
def few_file_descriptors(backend: Backend) -> Iterator[None]:
    """Many connections are open, and it may open hardly more files."""
    pid = backend.service.process.pid
    soft, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(backend.service.client()) for _ in range(_CONNECTIONS)]
        for client in clients:
            client.get("/livez").raise_for_status()
        used = len(list(Path(f"/proc/{pid}/fd").iterdir()))
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (used + used // 6, hard))
        turns = itertools.cycle(clients)
        # A connection is closed when nothing happens on it.
        stack.enter_context(repeating(lambda: next(turns).get("/livez")))
        yield
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (soft, hard))


@contextlib.contextmanager
def refusing_model(model: ModelServer) -> Iterator[None]:
    """The model server knows the key no more."""
    model.follow(model_server.respond("401 Unauthorized"))
    yield
    answer_all(model)


def answer_all(model: ModelServer) -> None:
    """Let the model server answer as it should."""
    model.follow(model_server.say("Sit down for a while."))


class Backups:
    """Backups of a cluster, made by the programs of the database image.

    Args:
        folder: Where they are.
        cluster: What is backed up.
        url: The address of the service's database in it.
    """

    def __init__(self, folder: BackupFolder, cluster: Cluster, url: str) -> None:
        self._folder = folder
        self._cluster = cluster
        self._url = url
        self._receiver: subprocess.Popen[str] | None = None

    def record(self, name: str, *, days_ago: int = 0) -> None:
        """Leave an outcome in the database, as the programs do."""
        at = datetime.now(UTC) - timedelta(days=days_ago)
        outcome = {"at": at.isoformat(), "bytes": 20, "seconds": 7, "ok": "failure" not in name}
        self._query(f"ALTER ROLE todo_backup SET todo.{name} = '{json.dumps(outcome)}'")

    def record_update(self, result: str) -> None:
        """Leave the outcome of an update in the database, as `build.py` does."""
        at = datetime.now(UTC).isoformat(timespec="seconds")
        outcome = json.dumps({"at": at, "result": result, "refused": 1})
        self._query(f"ALTER ROLE CURRENT_USER SET todo.update = '{outcome}'")

    def receive(self) -> None:
        """Start to receive WAL."""
        self._receiver = self._folder.start("receive-wal", PGAPPNAME="todo_wal")

    def stop(self) -> None:
        """Stop to receive WAL."""
        if self._receiver:
            self._receiver.send_signal(signal.SIGTERM)
            self._receiver.communicate()
            self._receiver = None

    @contextlib.contextmanager
    def failing(self) -> Iterator[None]:
        """No room for a backup, an old one, whose drill failed, and WAL that nobody receives.

        The last update was refused.
        """
        self.record_update("refused")
        self.record("backup", days_ago=2)
        self.record("drill", days_ago=20)
        self._folder.replace_program("df", "#!/bin/sh\necho Avail\necho 1048576\n")
        code, output = self._folder.run("make-backup")
        assert code != 0, output
        self.record("drill_failure")
        self.stop()
        for _ in range(_SEGMENTS):
            self._query("SELECT pg_logical_emit_message(false, 'test', 'x')")
            self._query("SELECT pg_switch_wal()")
        yield
        self.record_update("updated")
        self._folder.drop_program("df")
        self.receive()
        self._folder.back_up()
        self.record("drill")

    def lose_wal(self) -> None:
        """Let the server remove WAL that it keeps for the receiver."""
        self._query("ALTER SYSTEM SET max_slot_wal_keep_size = '16MB'")
        self._query("SELECT pg_reload_conf()")
        self._query("CHECKPOINT")

    def _query(self, statement: str) -> None:
        self._cluster.query(self._url, statement)
