"""Benchmark of the export and import of 100,000 tasks: time and memory.

`todo.admin export` and `import`, each a process of its own: tasks per second of the whole command,
its CPU time, and its largest resident memory; on PostgreSQL (fsync off) and SQLite, in rounds.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from typing import TYPE_CHECKING, NamedTuple

from tests.bench import api_data
from tests.integration.cluster import Cluster, open_cluster
from tests.integration.service import make_environment, open_folder, run_admin

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_TASKS = 100_000
_OWNERS = 10
_ACCOUNTS = (
    "INSERT INTO account (owner, zone, chain_id, seq, hash, created_at) SELECT owner, 'UTC',"
    " gen_random_uuid(), 0, '\\x'::bytea, now() FROM (SELECT DISTINCT owner FROM task) AS owners"
)


class Run(NamedTuple):
    """One command; MiB of memory."""

    seconds: float
    cpu_s: float
    memory: float


def main() -> int:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    runs: dict[str, list[Run]] = {}
    with open_cluster() as cluster, open_folder() as folder:
        cluster.stop()
        cluster.start(buffers="128MB")
        source = _make(folder, cluster.make_database())
        owners = f"'owner-' || n % {_OWNERS}"
        statement = api_data.render_insert(api_data.COLUMNS, owners, first=0, count=_TASKS)
        for filling in (statement, _ACCOUNTS, "VACUUM ANALYZE"):
            cluster.query(source["TODO_DATABASE_URL"], filling)
        file = folder / "export.json"
        for number in range(rounds):
            for name, run in _round(cluster, folder, source, file, number).items():
                runs.setdefault(name, []).append(run)
            sys.stderr.write(f"round {number + 1} of {rounds} is done\n")
        size_mib = file.stat().st_size / 2**20
    sys.stdout.write(f"{_TASKS:,} tasks of {_OWNERS} owners, {size_mib:.0f} MiB of JSON\n")
    sys.stdout.write(f"{'':<24} tasks/s   seconds  CPU s  memory MiB\n")
    for name, found in runs.items():
        run = Run(*(statistics.median(figures) for figures in zip(*found, strict=True)))
        sys.stdout.write(
            f"{name:<24} {_TASKS / run.seconds:7.0f}  {run.seconds:8.1f}  {run.cpu_s:5.1f}"
            f"  {run.memory:10.0f}\n"
        )
    return 0


def _round(
    cluster: Cluster, folder: Path, source: Mapping[str, str], file: Path, number: int
) -> dict[str, Run]:
    file.unlink(missing_ok=True)
    postgres = _make(folder, cluster.make_database())
    sqlite = _make(folder, f"sqlite+aiosqlite:///{folder}/{number}.db")
    return {
        "export, PostgreSQL": _run(source, "export", "--output", str(file)),
        "import, PostgreSQL": _run(postgres, "import", str(file)),
        "import, SQLite": _run(sqlite, "import", str(file)),
        "dry run, PostgreSQL": _run(postgres, "import", "--dry-run", str(file)),
    }


def _make(folder: Path, url: str) -> dict[str, str]:
    """Make the schema in an empty database; return the environment for it."""
    environment = make_environment(folder, {"TODO_DATABASE_URL": url})
    made = run_admin(environment, "migrate")
    if made.returncode:
        raise RuntimeError(made.stderr)
    return environment


def _run(environment: Mapping[str, str], *arguments: str) -> Run:
    began = time.monotonic()
    command = [sys.executable, "-m", "todo.admin", *arguments]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{' '.join(arguments)} ended with {process.returncode}")
    return Run(time.monotonic() - began, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 2**10)


if __name__ == "__main__":
    sys.exit(main())
