"""The sources that migrate each new database, to run these tests on the schema of another version.

`TODO_TEST_SCHEMA_SOURCES` names the `src` folder of that version. Each new database then has its
schema from the start. Without the variable a new database is empty, and the tests migrate it.
"""

import functools
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from sqlalchemy import make_url

from todo.config.settings import data_directory

VARIABLE = "TODO_TEST_SCHEMA_SOURCES"


def find_sources() -> Path | None:
    named = os.environ.get(VARIABLE)
    return Path(named) if named else None


def migrate_by(sources: Path, url: str, backend_role: str = "") -> str:
    """Migrate a database by the program in a folder, and return what it printed.

    Raises:
        RuntimeError: It failed.
    """
    done = subprocess.run(
        [sys.executable, "-m", "todo.admin", "migrate"],
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(sources),
            "PYTHONDONTWRITEBYTECODE": "1",
            "TODO_DATABASE_URL": url,
            "TODO_DATABASE_BACKEND_ROLE": backend_role,
        },
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise RuntimeError(f"the program in {sources} cannot migrate a database: {done.stderr}")
    return done.stdout


def prepare_sqlite(environment: Mapping[str, str]) -> None:
    """Make the SQLite file of a program's environment, if it has none yet."""
    sources = find_sources()
    if sources is None:
        return
    default = f"sqlite:///{data_directory(environment)}/todo.db"
    url = make_url(environment.get("TODO_DATABASE_URL", default))
    if not url.drivername.startswith("sqlite") or url.database is None:
        return
    path = Path(url.database)
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(_migrate_sqlite(sources))


@functools.cache
def _migrate_sqlite(sources: Path) -> bytes:
    """Return a migrated file: a start of Python for each database would take most of the time."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "todo.db"
        migrate_by(sources, f"sqlite:///{path}")
        return path.read_bytes()
