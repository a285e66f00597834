"""The two services that `build.py bench api` compares, each with a cluster of its own."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deploy.bootstrap import venv
from deploy.paths import REPO
from tests.bench import api_data
from tests.integration.cluster import Cluster, open_cluster
from tests.integration.service import SECRET, open_folder, open_service
from todo.auth.tokens import TokenVerifier

if TYPE_CHECKING:
    from collections.abc import Iterator

OPERATIONS = ("list", "read", "create", "search")
_STATUS = {"create": 201}
_START_S = 30.0
_CONNECTIONS = 60
_BUFFERS = "128MB"
_TOKEN_S = 7200
_WRITERS = 500
_REQUESTS = 1000
"""Different requests an operation; the load generator begins again after the last."""


@dataclasses.dataclass(frozen=True)
class Side:
    """One service under load.

    Attributes:
        socket: Its Unix socket.
        pid: Its one process.
        cluster: Its PostgreSQL.
        tasks_path: Path of its tasks.
        search: Name of the parameter that searches.
        ids: Some tasks: their owner and id.
    """

    socket: Path
    pid: int
    cluster: Cluster
    tasks_path: str
    search: str
    ids: list[tuple[str, str]]

    def requests(self, operation: str) -> list[tuple[str, dict[str, Any]]]:
        """The requests of an operation, each with what its answer must hold."""
        return [self._request(operation, number) for number in range(_REQUESTS)]

    def _request(self, operation: str, number: int) -> tuple[str, dict[str, Any]]:
        owner, task_id = self.ids[number % len(self.ids)]
        if operation == "list":
            wanted = {"length": 20}
            return self._render("GET", "?limit=20", owner), wanted
        if operation == "read":
            return self._render("GET", f"/{task_id}", owner), {"id": task_id}
        if operation == "search":
            word = api_data.WORDS[number % len(api_data.WORDS)]
            return self._render("GET", f"?limit=20&{self.search}={word}", owner), {"word": word}
        title = f"Task {number}: {api_data.WORDS[number % len(api_data.WORDS)]} and so on"
        body = {"title": title, "description": "What has to be known of it before one begins."}
        # Users of their own, more than connections: the lists that are read stay as long as they
        # are, and who writes seldom meets a write of the same user.
        writer = f"writer-{number % _WRITERS}"
        return self._render("POST", "", writer, json.dumps(body)), {"title": title}

    def _render(self, method: str, rest: str, owner: str, body: str = "") -> str:
        token = TokenVerifier(SECRET.encode()).issue(owner, lifetime_s=_TOKEN_S)
        length = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        return (
            f"{method} {self.tasks_path}{rest} HTTP/1.1\r\nHost: bench\r\nAccept: */*\r\n"
            f"User-Agent: bench\r\nAuthorization: Bearer {token}\r\n"
            f"{length if body else ''}\r\n{body}"
        )

    def cpu_s(self) -> tuple[float, float]:
        """CPU time of the service and of its database's processes so far."""
        return _process_s(self.pid), cluster_s(self.cluster)


def status_of(operation: str) -> int:
    """The status of a good answer."""
    return _STATUS.get(operation, 200)


@contextlib.contextmanager
def open_ours() -> Iterator[Side]:
    """Run our backend as it is installed: but for the rate limit, every option has its default."""
    with _open_cluster() as cluster:
        url = cluster.make_database()
        options = {
            "TODO_DATABASE_URL": url,
            "TODO_DATABASE_MIGRATE": "startup",
            # Counted as always, and never met.
            "TODO_RATE_LIMIT_PER_MINUTE": "10000000",
        }
        with open_service(options) as service:
            service.wait_ready()
            ids = _fill(cluster, url, api_data.COLUMNS)
            yield Side(
                socket=service.folder / "public.sock",
                pid=service.process.pid,
                cluster=cluster,
                tasks_path="/api/v1/tasks",
                search="q",
                ids=ids,
            )


@contextlib.contextmanager
def open_peer() -> Iterator[Side]:
    """Run the peer in one process, with uvicorn's defaults (uvloop, httptools, access log)."""
    python = venv.ensure("bench")
    with _open_cluster() as cluster, open_folder() as folder:
        url = cluster.make_database()
        path = folder / "public.sock"
        environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(REPO),
            "PEER_DATABASE_URL": url,
            "PEER_SECRET": SECRET,
        }
        program = [str(python), "-m", "uvicorn", "tests.bench.peer.app:app", f"--uds={path}"]
        with (folder / "log").open("wb") as log:
            server = subprocess.Popen(
                program, env=environment, cwd=folder, stdout=log, stderr=subprocess.STDOUT
            )
        try:
            _wait_for(path, server, folder / "log")
            words = "(ARRAY['none', 'low', 'medium', 'high'])[1 + m % 4]"
            columns = {**api_data.COLUMNS, "priority": words}
            del columns["due_key"], columns["words"]
            yield Side(
                socket=path,
                pid=server.pid,
                cluster=cluster,
                tasks_path="/tasks",
                search="search",
                ids=_fill(cluster, url, columns),
            )
        finally:
            server.kill()
            server.wait()


@contextlib.contextmanager
def _open_cluster() -> Iterator[Cluster]:
    with open_cluster() as cluster:
        cluster.stop()
        cluster.start(connections=_CONNECTIONS, buffers=_BUFFERS)
        yield cluster


def _fill(cluster: Cluster, url: str, columns: dict[str, str]) -> list[tuple[str, str]]:
    count = api_data.OWNERS * api_data.TASKS_EACH
    owners = f"'owner-' || n % {api_data.OWNERS}"
    cluster.query(url, api_data.render_insert(columns, owners, first=0, count=count))
    cluster.query(url, "VACUUM ANALYZE")
    # Of every owner some, all over the table.
    chosen = "SELECT owner, id::text FROM task ORDER BY md5(id::text) LIMIT 1000"
    return [(owner, task_id) for owner, task_id in cluster.query(url, chosen)]


def _wait_for(path: Path, server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _START_S
    while not path.exists():
        if server.poll() is not None or time.monotonic() > deadline:
            raise TimeoutError(f"the peer did not start: {log.read_text()[-2000:]}")
        time.sleep(0.05)


def _process_s(pid: int) -> float:
    """User and system time of a process with all its threads, ended ones too."""
    fields = _stat(pid)
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def cluster_s(cluster: Cluster) -> float:
    """CPU time of a PostgreSQL: of the processes that run, and of those that have ended."""
    pid = cluster.pid
    ended = sum(map(int, _stat(pid)[13:15])) / os.sysconf("SC_CLK_TCK")
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return ended + sum(_runtime_s(number) for number in (str(pid), *children))


def _runtime_s(pid: str) -> float:
    # In nanoseconds, where `stat` has hundredths of a second: there are many small processes.
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9
    return 0.0


def _stat(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
