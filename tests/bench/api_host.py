"""Both services of `build.py bench api` on this host, with its CPython and its PostgreSQL."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING

from deploy.bootstrap import venv
from deploy.paths import REPO
from tests.bench.api_sides import BUFFERS, OUR_OPTIONS, OURS, PEER, SELECT_IDS, Api, Side
from tests.integration.cluster import Cluster, open_cluster
from tests.integration.service import SECRET, open_folder, open_service

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

_START_S = 30.0
_RUN_S = 120.0
_CONNECTIONS = 60


@contextlib.contextmanager
def open_sides() -> Iterator[dict[str, Side]]:
    """Run both services, and a PostgreSQL for each."""
    with _open_ours() as ours, _open_peer() as peer:
        yield {"ours": ours, "peer": peer}


@contextlib.contextmanager
def _open_ours() -> Iterator[Side]:
    """Run our backend as it is installed: except for the rate limit, each option is the default."""
    with _open_cluster() as cluster:
        url = cluster.make_database()
        options = {
            "TODO_DATABASE_URL": url,
            "TODO_DATABASE_MIGRATE": "startup",
            **OUR_OPTIONS,
        }
        with open_service(options) as service:
            service.wait_ready()
            ids = _fill(cluster, url, OURS)
            path = service.folder / "public.sock"
            yield Side(OURS, str(path), service.process.pid, cluster.pid, ids, _run)


@contextlib.contextmanager
def _open_peer() -> Iterator[Side]:
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
            ids = _fill(cluster, url, PEER)
            yield Side(PEER, str(path), server.pid, cluster.pid, ids, _run)
        finally:
            server.kill()
            server.wait()


@contextlib.contextmanager
def _open_cluster() -> Iterator[Cluster]:
    with open_cluster() as cluster:
        cluster.stop()
        cluster.start(connections=_CONNECTIONS, buffers=BUFFERS)
        yield cluster


def _fill(cluster: Cluster, url: str, api: Api) -> list[tuple[str, str]]:
    cluster.query(url, api.fill)
    cluster.query(url, "VACUUM ANALYZE")
    return [(owner, task_id) for owner, task_id in cluster.query(url, SELECT_IDS)]


def _run(program: Sequence[str], stdin: str) -> str:
    name, *arguments = program
    return subprocess.run(
        [sys.executable, REPO / "tests" / "bench" / name, *arguments],
        input=stdin,
        stdout=subprocess.PIPE,
        text=True,
        timeout=_RUN_S,
        check=True,
    ).stdout


def _wait_for(path: Path, server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _START_S
    while not path.exists():
        if server.poll() is not None or time.monotonic() > deadline:
            raise TimeoutError(f"the peer did not start: {log.read_text()[-2000:]}")
        time.sleep(0.05)
