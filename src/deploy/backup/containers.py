"""Containers of a restore, hardened like the units and without a network."""

from __future__ import annotations

import contextlib
import dataclasses
import shlex
import time
from typing import TYPE_CHECKING

from deploy import command_hints, process, progress
from deploy.backup.restore import Restored
from deploy.errors import DeployError, ExitCode
from deploy.image import build
from deploy.stack import backups, postgresql
from deploy.units.loader import load_contract

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

DATA = "/var/lib/postgresql"
"""Mount point of the database volume; during a restore, it also contains the socket."""

_RESTORE = "todo-restore"
_SERVER = "todo-restore-db"
VERIFY = "todo-restore-verify"
_PYTHON = "/usr/bin/python3"
_SOCKET = "/run/todo"
_TMPFS = "rw,size=16m,mode=1777,nosuid,nodev,noexec"
_SHM = "rw,size=64m,mode=1777,nosuid,nodev,noexec"
_POLL_S = 0.5
_DAY_S = 86_400.0
"""Timeout of a restore; a large database on a slow disk takes hours."""
_TIMEOUT_S = 600.0
_CODES = {
    65: ExitCode.DATA,
    66: ExitCode.USAGE,
    69: ExitCode.UNAVAILABLE,
    78: ExitCode.CONFIG,
}
"""Exit code of the restore script -> exit code of build.py."""


@dataclasses.dataclass(frozen=True)
class Account:
    """Account of the containers of backups; the group `clients` owns the server's socket."""

    uid: int
    gid: int
    clients: int
    role: str


def find_account() -> Account:
    """Return the account of the backup unit."""
    container = load_contract(backup=True).container("todo-backup")
    return Account(container.uid, container.gid, container.groups[0], container.env["PGUSER"])


def render_run(
    account: Account,
    name: str,
    image: str,
    command: Sequence[str],
    *,
    mounts: Sequence[str],
    environment: Mapping[str, str] | None = None,
    detach: bool = False,
) -> list[str]:
    """Return the command line of a hardened container, with mounts in Podman's syntax.

    A container of the same name, left by an interrupted run, is replaced. With `detach`, Podman
    returns as soon as the container runs.
    """
    program, *arguments = command
    return [
        *("podman", "run", "--replace", f"--name={name}", "--pull=never", "--network=none"),
        *(("--detach",) if detach else ("--rm",)),
        *("--read-only", "--read-only-tmpfs=false", f"--tmpfs=/tmp:{_TMPFS}"),
        *(f"--tmpfs=/dev/shm:{_SHM}", "--cap-drop=all", "--security-opt=no-new-privileges"),
        *("--security-opt=mask=/dev/mqueue", "--ulimit=core=0:0", "--pids-limit=0"),
        *("--stop-signal=SIGINT", f"--user={account.uid}:{account.gid}"),
        f"--group-add={account.clients}",
        *(f"--volume={mount}" for mount in mounts),
        *(f"--env={key}={value}" for key, value in (environment or {}).items()),
        f"--entrypoint={program}",
        image,
        *arguments,
    ]


def restore(account: Account, volume: str, folder: Path, options: Sequence[str]) -> Restored:
    """Run the restore script on a new volume; raise a DeployError with its error if it fails."""
    script = ["/usr/local/bin/restore", backups.TARGET, f"{DATA}/data", *options]
    mounts = [f"{volume}:{DATA}:U", f"{folder}:{backups.TARGET}:ro,z"]
    argv = render_run(account, _RESTORE, build.reference("db"), script, mounts=mounts)
    with progress.step("Restoring into a new volume"):
        done = process.run(argv, check=False, timeout_s=_DAY_S)
    if done.returncode != 0:
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        reason = lines[-1].removeprefix("restore: ") if lines else "it does not say why"
        raise DeployError(
            f"nothing was restored: {reason}",
            hint=_remedy(done.returncode, folder),
            code=_CODES.get(done.returncode, ExitCode.FAILED),
        )
    facts = dict(line.partition("=")[::2] for line in done.stdout.splitlines())
    return Restored(facts.get("base", ""), facts.get("last", ""))


def _remedy(code: int, folder: Path) -> str:
    if code == ExitCode.DATA:
        return (
            f"choose an earlier time with {command_hints.build('restore --to TIME')}, another "
            "base backup with --to-backup, or restore up to the missing file with --accept-gap"
        )
    if code == ExitCode.CONFIG:
        return postgresql.describe_way()
    if code in _CODES:
        listing = command_hints.shell(shlex.join(["ls", str(folder / "base")]))
        one = command_hints.build("restore --to-backup STAMP")
        return f"{listing} lists the base backups; {one} restores one of them"
    return "see docs/restore.md"


@contextlib.contextmanager
def server(
    account: Account,
    volume: str,
    *,
    image: str = "",
    name: str = _SERVER,
    settings: Sequence[str] = ("synchronous_standby_names=",),
) -> Iterator[None]:
    """Run a server on a volume that no other server uses, with its socket in the volume.

    The default image is that of the units. Settings have the format `NAME=VALUE`.

    Raises:
        DeployError: The server did not start.
    """
    command = ["/usr/local/bin/entrypoint"]
    command += [word for setting in settings for word in ("-c", setting)]
    environment = {"DB_SOCKET_DIR": DATA}
    argv = render_run(
        account,
        name,
        image or build.reference("db"),
        command,
        mounts=[f"{volume}:{DATA}:U"],
        environment=environment,
        detach=True,
    )
    try:
        process.run(argv, timeout_s=_TIMEOUT_S)
        _wait_ready(name)
        yield
    finally:
        process.run(["podman", "stop", "--ignore", "--time=120", name], timeout_s=_TIMEOUT_S)
        process.run(["podman", "rm", "--force", "--ignore", name], timeout_s=_TIMEOUT_S)


def _wait_ready(name: str) -> None:
    ready = ["podman", "exec", name, "pg_isready", "--quiet", f"--host={DATA}"]
    running = ["podman", "container", "inspect", "--format={{.State.Running}}", name]
    while process.run(ready, check=False, timeout_s=_TIMEOUT_S).returncode != 0:
        shown = process.run(running, check=False, timeout_s=_TIMEOUT_S)
        if shown.stdout.strip() != "true":
            logged = process.run(["podman", "logs", "--tail=1", name], check=False)
            lines = (logged.stderr or logged.stdout).strip()
            message = f"the server {name} did not start: {lines or 'it does not say why'}"
            raise DeployError(message, code=ExitCode.DATA)
        time.sleep(_POLL_S)


def query_restored(account: Account, statement: str, variables: Mapping[str, str]) -> str:
    """Run a statement on the restored server, and return its output."""
    return query(_SERVER, DATA, account.role, statement, variables)


def query(
    container: str, sockets: str, role: str, statement: str, variables: Mapping[str, str]
) -> str:
    """Run a statement with psql in a container, and return its output.

    The statement contains `:'NAME'` for each variable; `sockets` is the folder of the socket.
    """
    psql = ["psql", f"--host={sockets}", f"--username={role}", "--dbname=todo", "--no-psqlrc"]
    psql += ["--quiet", "--tuples-only", "--no-align", "--set=ON_ERROR_STOP=1", "--file=-"]
    psql += [f"--set={name}={value}" for name, value in variables.items()]
    argv = ["podman", "exec", "--interactive", container, *psql]
    return process.run(argv, stdin=f"{statement};\n", timeout_s=_TIMEOUT_S).stdout.strip()


def verify(
    account: Account, volume: str, folder: Path, base: str, *, with_state: bool = True
) -> list[str]:
    """Verify the journals of the server on a volume, and return the findings.

    The database must contain the journal heads of the base backup with the stamp `base`. Unless
    `with_state` is false, also compare the tasks with the journals.

    Raises:
        DeployError: The data could not be verified.
    """
    command = [_PYTHON, "-m", "todo.admin", "verify", *(["--state"] if with_state else [])]
    if (folder / "base" / f"{base}.heads").exists():
        command += ["--head", f"{backups.TARGET}/base/{base}.heads"]
    argv = render_run(
        account,
        VERIFY,
        build.reference("backend"),
        command,
        mounts=[f"{volume}:{_SOCKET}:ro", f"{folder}:{backups.TARGET}:ro,z"],
        environment={
            "TODO_DATABASE_URL": f"postgresql+psycopg://{account.role}@/todo?host={_SOCKET}",
            "TODO_DATABASE_STATEMENT_TIMEOUT_S": "600",
        },
    )
    with progress.step("Verifying the journals"):
        done = process.run(argv, check=False, timeout_s=_DAY_S)
    if done.returncode == 0:
        return []
    lines = [line for line in done.stdout.splitlines() if line.strip()]
    if done.returncode == ExitCode.USAGE and lines:
        return lines
    said = [line for line in done.stderr.splitlines() if line.strip()]
    reason = said[-1].removeprefix("todo.admin: error: ") if said else "it does not say why"
    raise DeployError(f"the restored database cannot be verified: {reason}", code=ExitCode.DATA)
