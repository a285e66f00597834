"""The current sources with one more migration, in a folder."""

import shutil
from collections.abc import Sequence
from pathlib import Path

from deploy.paths import REPO
from todo.db.tables import EXPECTED_REVISION

NEXT_REVISION = f"{int(EXPECTED_REVISION) + 1:04}"
CONTRACT_REVISION = f"{int(EXPECTED_REVISION) + 2:04}"

# None of them works with the former program. SQLite cannot add a required column.
DROPPED = "ALTER TABLE task DROP COLUMN recurrence"
RENAMED = "ALTER TABLE task RENAME COLUMN position TO place"
REQUIRED = "ALTER TABLE task ADD COLUMN color varchar(20) NOT NULL"

ADDITIONS = (
    "ALTER TABLE task ADD COLUMN color varchar(20)",
    "ALTER TABLE list ADD COLUMN archived integer NOT NULL DEFAULT 0",
    "CREATE TABLE color (name varchar(20) NOT NULL, PRIMARY KEY (name))",
    "CREATE INDEX ix_color_name ON color (name)",
)

_SCRIPT = '''\
"""A migration of a test.

Revision ID: {revision}
"""

from alembic import op

revision = "{revision}"
down_revision = "{before}"
branch_labels = None
depends_on = None

oldest_program = "{oldest_program}"
{more}

def upgrade() -> None:
    for statement in {statements!r}:
        op.execute(statement)
'''
_LAST = "EXPECTED_REVISION = REVISIONS[-1]\n"
_NO_CONTRACTS = "CONTRACTS: tuple[str, ...] = ()\n"


def add_migration(
    folder: Path,
    statements: Sequence[str],
    *,
    oldest_program: str = EXPECTED_REVISION,
    more: str = "",
    contract: Sequence[str] = (),
) -> Path:
    """Copy the current sources into a folder, add a migration, and return their `src`.

    Args:
        folder: An empty one.
        statements: What the migration executes, in SQL that the databases of the test know.
        oldest_program: What the migration says.
        more: More lines of its module.
        contract: What a contract after it executes, which ends the programs before it.
    """
    sources = folder / "src"
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(REPO / "src" / "todo", sources / "todo", ignore=ignored)
    tables = sources / "todo" / "db" / "tables.py"
    text = tables.read_text()
    assert text.count(_LAST) == 1
    added = f'REVISIONS += ("{NEXT_REVISION}",)\n{_LAST}'
    if contract:
        added += f'CONTRACTS = ("{CONTRACT_REVISION}",)\n'
        text = text.replace(_NO_CONTRACTS, "")
    tables.write_text(text.replace(_LAST, added))
    _write_script(sources, NEXT_REVISION, EXPECTED_REVISION, oldest_program, statements, more)
    if contract:
        _write_script(sources, CONTRACT_REVISION, NEXT_REVISION, NEXT_REVISION, contract)
    return sources


def _write_script(
    sources: Path,
    revision: str,
    before: str,
    oldest_program: str,
    statements: Sequence[str],
    more: str = "",
) -> None:
    script = sources / "todo" / "db" / "migrations" / "versions" / f"r{revision}_test.py"
    script.write_text(
        _SCRIPT.format(
            revision=revision,
            before=before,
            oldest_program=oldest_program,
            more=more,
            statements=list(statements),
        )
    )
