"""Copy of a database cluster to the new version, with comparison and verification."""

from __future__ import annotations

import contextlib
import dataclasses
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from deploy import process, progress
from deploy.backup import containers
from deploy.backup.containers import DATA, Account
from deploy.errors import DeployError, ExitCode
from deploy.units.loader import load_contract
from deploy.units.spec import DB

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

NEW_SERVER = "todo-upgrade-db"
OLD_SERVER = "todo-upgrade-old"
_COPY = "todo-upgrade-copy"
CONTAINERS = (_COPY, containers.VERIFY, NEW_SERVER, OLD_SERVER)
"""Containers that may use the volume of a copy, even after this program was killed."""
_FROM = "/run/from"
"""Mount point of the old server's socket in the copying container."""
_DAY_S = 86_400.0
_LOADING = (
    # After a crash, the copy starts again. At the end, initdb flushes it to disk.
    *("fsync=off", "synchronous_commit=off", "full_page_writes=off"),
    *("wal_level=minimal", "max_wal_senders=0", "max_wal_size=4GB", "autovacuum=off"),
    *("maintenance_work_mem=256MB", "synchronous_standby_names="),
)
CONTENT = r"""
SELECT format(
    'SELECT %L, count(*) || '' '' ||
        coalesce(sum((''x'' || left(md5(%s), 16))::bit(64)::bigint), 0) FROM %I AS t',
    relname,
    CASE relname WHEN 'api_token' THEN '(to_jsonb(t) - ''last_used_at'')::text' ELSE 't::text' END,
    relname)
FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace
UNION ALL
SELECT format('SELECT %L, last_value::text FROM %I', relname, relname)
FROM pg_class WHERE relkind = 'S' AND relnamespace = 'public'::regnamespace
\gexec
"""
"""Script that prints each table with the number of its rows and a checksum that ignores their
order. `last_used_at` is excluded, because reads change it, too."""
_HEADS = """
SELECT json_build_object(
    'owner', owner, 'chain_id', chain_id, 'seq', seq, 'hash', encode(hash, 'hex'))
FROM account WHERE seq > 0 ORDER BY owner
"""


@dataclasses.dataclass(frozen=True)
class Cluster:
    """Running server.

    Attributes:
        container: Container of the server.
        sockets: Folder of the socket in the container.
        mount: Volume that contains the folder of the socket.
    """

    container: str
    sockets: str
    mount: str


def find_account() -> Account:
    """Return the account of the database unit."""
    container = load_contract().container(DB)
    return Account(container.uid, container.gid, container.groups[0], "postgres")


@contextlib.contextmanager
def server(volume: str, image: str, name: str) -> Iterator[Cluster]:
    """Run a server for a copy, on a volume that only this program uses."""
    with containers.server(find_account(), volume, image=image, name=name, settings=_LOADING):
        yield Cluster(name, DATA, volume)


def copy(old: Cluster, new: Cluster, old_image: str) -> None:
    """Copy the roles and the database to an empty server with the old image's pg_dump."""
    mounts = [f"{old.mount}:{_FROM}:ro", f"{new.mount}:{DATA}:ro"]
    command = ["/usr/local/bin/copy-cluster", _FROM, DATA]
    argv = containers.render_run(find_account(), _COPY, old_image, command, mounts=mounts)
    with progress.step("Copying the database into the new version"):
        done = process.run(argv, check=False, timeout_s=_DAY_S)
    if done.returncode != 0:
        said = [line for line in done.stderr.splitlines() if line.strip()]
        reasons = [line.removeprefix("copy-cluster: ") for line in said[-1:]]
        # The program's error precedes the script's own line.
        reasons += [line for line in said if "error:" in line][:1]
        why = ": ".join(reasons) or "it does not say why"
        raise DeployError(f"the database cannot be copied: {why}", code=ExitCode.DATA)


def find_content(cluster: Cluster) -> dict[str, str]:
    """Return table -> number of rows and checksum, and sequence -> last value."""
    shown = _query(cluster, CONTENT)
    return dict(line.split("|", 1) for line in shown.splitlines())


def compare(old: Cluster, new: Cluster) -> dict[str, str]:
    """Compare the content of two servers and return it; raise a DeployError if it differs."""
    with progress.step("Comparing every table"), ThreadPoolExecutor(2) as pool:
        before, after = pool.map(find_content, (old, new))
    differing = describe_changes(before, after)
    if differing:
        message = f"the copy differs from the database: {'; '.join(differing)}"
        raise DeployError(message, hint="see docs/upgrade-db.md", code=ExitCode.DATA)
    return after


def describe_changes(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    """Return a line for each table that differs."""
    found = []
    for table in sorted({*before, *after}):
        old, new = before.get(table), after.get(table)
        if old == new:
            continue
        counts = [text.partition(" ")[0] if text else "no" for text in (old, new)]
        what = "another content" if counts[0] == counts[1] else f"{counts[0]} -> {counts[1]} rows"
        found.append(f"{table}: {what}")
    return found


def count_rows(content: Mapping[str, str]) -> int:
    """Return the total number of rows in the result of `find_content`."""
    return sum(int(text.split()[0]) for text in content.values() if " " in text)


def find_size(cluster: Cluster) -> int:
    """Return the size of the database in bytes."""
    return int(_query(cluster, "SELECT pg_database_size(current_database());\n"))


def find_heads(cluster: Cluster) -> str:
    """Return the heads of the journals in the format of `todo.admin verify --head`."""
    return _query(cluster, f"{_HEADS};\n")


def verify(new: Cluster, heads: str, *, with_state: bool) -> None:
    """Verify the journals of a new server against the heads of the old one.

    With `with_state`, also compare the tasks with the journals. Raise a DeployError for findings.
    """
    account = containers.find_account()
    with tempfile.TemporaryDirectory(prefix="todo-upgrade-") as path:
        folder = Path(path)
        # The account of the container must be able to read it.
        folder.chmod(0o755)
        (folder / "base").mkdir()
        (folder / "base" / "upgrade.heads").write_text(f"{heads}\n" if heads else "")
        found = containers.verify(account, new.mount, folder, "upgrade", with_state=with_state)
    if found:
        message = f"the copy failed verification; first finding: {found[0]}"
        raise DeployError(message, hint="see docs/journal.md", code=ExitCode.DATA)


def flush(volume: str, image: str) -> None:
    """Flush a volume to disk, after its server with `fsync=off` has stopped."""
    command = ["initdb", "--sync-only", f"--pgdata={DATA}/data"]
    mounts = [f"{volume}:{DATA}"]
    argv = containers.render_run(find_account(), _COPY, image, command, mounts=mounts)
    with progress.step("Flushing it to the disk"):
        process.run(argv, timeout_s=_DAY_S)


def _query(cluster: Cluster, script: str) -> str:
    psql = ["psql", f"--host={cluster.sockets}", "--username=postgres", "--dbname=todo"]
    psql += ["--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--set=ON_ERROR_STOP=1"]
    argv = ["podman", "exec", "--interactive", cluster.container, *psql, "--file=-"]
    return process.run(argv, stdin=script, timeout_s=_DAY_S).stdout.strip()
