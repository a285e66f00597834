"""Both services of `build.py bench api` in containers of a lab, on the versions that ship.

Ours is the image that ships; the peer has an ordinary image of the same Debian. Each has a
PostgreSQL of its own, from the stack's database image. No container has a network.
"""

from __future__ import annotations

import contextlib
import dataclasses
from typing import TYPE_CHECKING

from deploy.errors import DeployError
from tests.bench import start
from tests.bench.api_sides import BUFFERS, OUR_OPTIONS, OURS, PEER, SELECT_IDS, Api, Side
from tests.integration.service import SECRET
from tests.machine_clock import wait_until
from tests.system.stack_in_lab import BUILD, IMAGES, UP_TIMEOUT_S

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from deploy.lab import manager

_CHECKOUT = "/srv/todo-backend"
_DATABASE_IMAGE = "localhost/todo-db:latest"
_OUR_IMAGE = "localhost/todo-backend:latest"
_PEER_IMAGE = "localhost/bench-peer"
_DATABASE_USER = "10002:10002"
_BACKEND_USER, _BACKEND_GROUP = "10001:10001", "10001"
_MIGRATE_USER = "10004:10001"
_PUBLIC = "/run/bench"
_SOCKET = f"{_PUBLIC}/public.sock"
_DATABASE_URL = "postgresql+psycopg://todo@/todo?host=/run/todo"
_SECRET_NAME = "bench-token-secret"  # noqa: S105 - a name
_START_S = 600.0


def build_images(machine: manager.Lab) -> None:
    """Build the stack's images, and the peer's on Debian's minbase."""
    words = ["image", "--no-lab", "--target=all", IMAGES]
    machine.run([*BUILD, *words], timeout_s=UP_TIMEOUT_S)
    start.import_minbase(machine)
    start.build_on_minbase(machine, "peer.Containerfile", _PEER_IMAGE)


@contextlib.contextmanager
def open_sides(machine: manager.Lab) -> Iterator[dict[str, Side]]:
    """Run both services, and a PostgreSQL for each; the images are there already."""
    ours, peer = _Containers(machine, "bench-ours"), _Containers(machine, "bench-peer")
    try:
        yield {"ours": _open_ours(ours), "peer": _open_peer(peer)}
    finally:
        ours.remove()
        peer.remove()


def _open_ours(containers: _Containers) -> Side:
    """Run our backend as its unit does: except for the rate limit, each option is the default."""
    containers.start_database()
    containers.podman("secret", "create", "--replace", _SECRET_NAME, "-", stdin=SECRET)
    containers.run_program(
        _OUR_IMAGE,
        {
            "TODO_DATABASE_URL": _DATABASE_URL.replace("todo@", "todo_owner@"),
            "TODO_DATABASE_BACKEND_ROLE": "todo",
        },
        *("--rm", f"--user={_MIGRATE_USER}", "--entrypoint=/usr/bin/python3"),
        command=["-m", "todo.admin", "migrate", "--wait", "300"],
    )
    options = {
        "TODO_DATABASE_URL": _DATABASE_URL,
        "TODO_TOKEN_SECRET_FILE": f"/run/secrets/{_SECRET_NAME}",
        "TODO_BIND": f"unix:{_SOCKET}",
        "TODO_MANAGEMENT_BIND": f"unix:{_PUBLIC}/management.sock",
        "TODO_PROBE_BIND": "unix:/tmp/probe.sock",
        **OUR_OPTIONS,
    }
    secret = f"--secret={_SECRET_NAME},type=mount,uid=10001,gid=10001,mode=0400"
    return containers.serve(OURS, _OUR_IMAGE, options, secret)


def _open_peer(containers: _Containers) -> Side:
    """Run the peer in one process, with uvicorn's defaults (uvloop, httptools, access log)."""
    containers.start_database()
    # It makes its table itself.
    containers.query("GRANT CREATE ON SCHEMA public TO todo")
    options = {"PEER_DATABASE_URL": _DATABASE_URL, "PEER_SECRET": SECRET}
    return containers.serve(PEER, _PEER_IMAGE, options)


@dataclasses.dataclass(frozen=True)
class _Containers:
    """A service and its database in a lab; all that they have is named after the service."""

    machine: manager.Lab
    name: str

    def podman(self, *words: str, stdin: str | None = None) -> str:
        done = self.machine.run(["podman", *words], timeout_s=_START_S, stdin=stdin)
        return done.stdout.strip()

    def start_database(self) -> None:
        """Start PostgreSQL as its unit does, except that it never waits for the disk."""
        self.podman(
            "run",
            "--detach",
            f"--name={self.name}-db",
            "--network=none",
            f"--user={_DATABASE_USER}",
            f"--group-add={_BACKEND_GROUP}",
            "--log-driver=k8s-file",
            f"--volume={self.name}-data:/var/lib/postgresql:U",
            f"--volume={self.name}-db-socket:/run/todo:U",
            _DATABASE_IMAGE,
            *("-c", "fsync=off", "-c", f"shared_buffers={BUFFERS}"),
        )
        # The first start makes the cluster, and moves it to its place at the end.
        self._wait_for(lambda: self.query("SELECT 1") == "1", f"{self.name}-db")

    def query(self, statement: str) -> str:
        """Run a statement as the superuser; a row is a line, with tabs in between."""
        words = ["psql", "--host=/run/todo", "--username=postgres", "--dbname=todo"]
        quiet = ["--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--field-separator=\t"]
        stop = "--set=ON_ERROR_STOP=1"
        return self.podman("exec", "-i", f"{self.name}-db", *words, *quiet, stop, stdin=statement)

    def run_program(
        self, image: str, options: Mapping[str, str], *words: str, command: Sequence[str] = ()
    ) -> None:
        """Run a container of the service, with the database's socket."""
        self.podman(
            "run",
            "--network=none",
            "--log-driver=k8s-file",
            f"--volume={self.name}-db-socket:/run/todo:ro",
            *(f"--env={name}={value}" for name, value in options.items()),
            *words,
            image,
            *command,
        )

    def serve(self, api: Api, image: str, options: Mapping[str, str], *words: str) -> Side:
        """Start the service, wait until it listens, and fill its table."""
        public = f"--volume={self.name}-public:{_PUBLIC}:U"
        named = ("--detach", f"--name={self.name}", f"--user={_BACKEND_USER}", public)
        self.run_program(image, options, *named, *words)
        folder = self.podman("volume", "inspect", "--format={{.Mountpoint}}", f"{self.name}-public")
        path = f"{folder}/{_SOCKET.rpartition('/')[2]}"
        self._wait_for(lambda: self._can_connect(path), self.name)
        self.query(api.fill)
        self.query("VACUUM ANALYZE")
        rows = self.query(SELECT_IDS).splitlines()
        ids = [(owner, task_id) for owner, _, task_id in (row.partition("\t") for row in rows)]
        return Side(api, path, self._pid(self.name), self._pid(f"{self.name}-db"), ids, self._run)

    def remove(self) -> None:
        """Remove the containers with their volumes."""
        containers = (self.name, f"{self.name}-db")
        self.podman("rm", "--force", "--time=0", "--ignore", *containers)
        volumes = [f"{self.name}-{each}" for each in ("public", "db-socket", "data")]
        self.podman("volume", "rm", "--force", *volumes)
        self.podman("secret", "rm", "--ignore", _SECRET_NAME)

    def _wait_for(self, met: Callable[[], bool], container: str) -> None:
        wait_until(
            met,
            f"an answer of {container}",
            within_s=_START_S,
            explain=lambda: self.podman("logs", "--tail=20", container),
            ignore=[DeployError],
        )

    def _can_connect(self, path: str) -> bool:
        program = "import socket, sys; socket.socket(socket.AF_UNIX).connect(sys.argv[1])"
        self.machine.run(["python3", "-c", program, path], user="root")
        return True

    def _pid(self, container: str) -> int:
        return int(self.podman("inspect", "--format={{.State.Pid}}", container))

    def _run(self, program: Sequence[str], stdin: str) -> str:
        name, *arguments = program
        words = ["python3", f"{_CHECKOUT}/tests/bench/{name}", *arguments]
        # The service's socket is in a volume of another user.
        return self.machine.run(words, user="root", stdin=stdin).stdout
