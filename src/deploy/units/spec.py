"""Contract: immutable description of the stack, compiled from the units.

The image build, the manifest and the tests use the contract instead of the units.
"""

from __future__ import annotations

import dataclasses
from urllib.parse import SplitResult, parse_qs, urlsplit

from deploy.errors import DeployError, ExitCode

PREFIX = "todo-"
"""Prefix of all unit names; container names in the manifest lack it."""

PUBLIC, MANAGEMENT = "public", "management"
BINDS = {PUBLIC: "TODO_BIND", MANAGEMENT: "TODO_MANAGEMENT_BIND"}
"""Environment variables with the addresses of listening sockets, by role."""

DATABASE_URL = "TODO_DATABASE_URL"
DB = f"{PREFIX}db"
DB_MAJOR, DB_SUITE = "DB_MAJOR", "DB_SUITE"
"""Variables of the database's unit: PostgreSQL's major version, and its Debian suite."""

AI = f"{PREFIX}ai"
"""Optional unit of the local model."""
BACKUP = tuple(f"{PREFIX}{name}" for name in ("backup", "drill", "drill-db", "wal"))
"""Optional containers of backups, which use the images of every stack."""


@dataclasses.dataclass(frozen=True)
class Mount:
    """A mount of a volume or a host folder in a container.

    Attributes:
        volume: Stem of the volume's unit; empty for a host folder.
        path: Path in the container.
        owner: Whether the mount changes the owner of the volume (`:U`).
        host: Host folder below `%h`; empty for a volume.
    """

    volume: str
    path: str
    read_only: bool
    owner: bool
    host: str = ""


@dataclasses.dataclass(frozen=True)
class Tmpfs:
    """A tmpfs of a fixed size in bytes."""

    path: str
    size: int


@dataclasses.dataclass(frozen=True)
class Secret:
    """A secret, mounted as a file."""

    name: str
    path: str


@dataclasses.dataclass(frozen=True)
class Probe:
    """A health check: the command, and its times in seconds."""

    command: tuple[str, ...]
    interval_s: float
    timeout_s: float
    retries: int
    start_period_s: float
    on_failure: str


@dataclasses.dataclass(frozen=True)
class Limits:
    """Resource limits of a container, with memory in bytes; None means unlimited."""

    memory: int | None
    cpu_percent: int | None


@dataclasses.dataclass(frozen=True)
class Container:
    """A container and its service."""

    unit: str
    name: str
    oneshot: bool
    image: str
    pull: str
    uid: int
    gid: int
    groups: tuple[int, ...]
    entrypoint: tuple[str, ...]
    command: tuple[str, ...]
    working_dir: str
    environment: tuple[tuple[str, str], ...]
    networks: tuple[str, ...]
    mounts: tuple[Mount, ...]
    tmpfs: tuple[Tmpfs, ...]
    shm_size: int | None
    secrets: tuple[Secret, ...]
    health: Probe | None
    notify: str
    stop_signal: str
    stop_timeout_s: int
    start_timeout_s: float | None
    stop_limit_s: float | None
    limits: Limits
    restart_policy: str

    @property
    def short(self) -> str:
        """Unit name without the common prefix, such as `backend`."""
        return self.unit.removeprefix(PREFIX)

    @property
    def env(self) -> dict[str, str]:
        """Environment variables by name."""
        return dict(self.environment)


@dataclasses.dataclass(frozen=True)
class Volume:
    """A named volume; without uid and gid, Podman determines its owner."""

    unit: str
    name: str
    uid: int | None
    gid: int | None


@dataclasses.dataclass(frozen=True)
class Socket:
    """A TCP address that systemd listens on for a container."""

    unit: str
    container: str
    role: str
    host: str
    port: int


@dataclasses.dataclass(frozen=True)
class Contract:
    """Containers, volumes and sockets of all units, sorted by unit."""

    containers: tuple[Container, ...]
    volumes: tuple[Volume, ...]
    sockets: tuple[Socket, ...]

    def container(self, unit: str) -> Container:
        """Return the container of a unit such as `todo-backend`; raise DeployError if missing."""
        for container in self.containers:
            if container.unit == unit:
                return container
        raise _no_unit(f"{unit}.container", "every stack has one")

    def port(self, role: str) -> int:
        """Return the port of the public or management socket; raise DeployError if missing."""
        for socket in self.sockets:
            if socket.role == role:
                return socket.port
        raise _no_unit("*.socket", f"no socket listens on the {role} address, {BINDS[role]}")


def build_args(contract: Contract) -> dict[str, str]:
    """Return the `--build-arg` names and values of the image build.

    - Of each service, for example `DB`: `DB_UID`, `DB_GID` and `DB_STOPSIGNAL`.
    - Ports for EXPOSE: `PUBLIC_PORT` and `MANAGEMENT_PORT`.
    - Database: `DB_NAME`, `DB_ROLE`, `DB_SOCKET_DIR`, `DB_MAJOR` and `DB_SUITE`.
    - Migration: `MIGRATE_UID` and `DB_OWNER_ROLE`.
    - Backups, if included: `BACKUP_UID` and `DB_BACKUP_ROLE`.
    - Local model, if included: `AI_SOCKET_DIR`, `AI_MODEL_FILE` and `AI_MODEL_SHA256`.

    Raises:
        DeployError: A required unit or socket is missing.
    """
    arguments = {}
    for container in contract.containers:
        if not container.oneshot and container.unit not in BACKUP:
            name = container.short.replace("-", "_").upper()
            arguments[f"{name}_UID"] = str(container.uid)
            arguments[f"{name}_GID"] = str(container.gid)
            arguments[f"{name}_STOPSIGNAL"] = container.stop_signal
    arguments["PUBLIC_PORT"] = str(contract.port(PUBLIC))
    arguments["MANAGEMENT_PORT"] = str(contract.port(MANAGEMENT))
    url = _database_url(contract.container(f"{PREFIX}backend"))
    arguments["DB_NAME"] = url.path.strip("/")
    arguments["DB_ROLE"] = url.username or ""
    arguments["DB_SOCKET_DIR"] = parse_qs(url.query).get("host", [""])[0]
    for name in (DB_MAJOR, DB_SUITE):
        arguments[name] = contract.container(DB).env.get(name, "")
    migration = contract.container(f"{PREFIX}migrate")
    arguments["MIGRATE_UID"] = str(migration.uid)
    arguments["DB_OWNER_ROLE"] = _database_url(migration).username or ""
    for container in contract.containers:
        if container.unit == AI:
            arguments["AI_SOCKET_DIR"] = container.env["AI_SOCKET"].rpartition("/")[0]
            for name in ("AI_MODEL_FILE", "AI_MODEL_SHA256"):
                arguments[name] = container.env[name]
        elif container.unit == BACKUP[0]:
            arguments["BACKUP_UID"] = str(container.uid)
            arguments["DB_BACKUP_ROLE"] = container.env["PGUSER"]
    return arguments


def _database_url(container: Container) -> SplitResult:
    return urlsplit(container.env.get(DATABASE_URL, ""))


def _no_unit(file: str, hint: str) -> DeployError:
    return DeployError(f"quadlet/{file} is missing", hint=hint, code=ExitCode.DATA)
