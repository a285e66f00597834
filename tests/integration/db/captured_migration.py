"""Program: migrate the database of the environment, and print what each revision executed as JSON.

It runs in the sources that `PYTHONPATH` names, so it imports nothing of the tests.
"""

import json
import re
import sys
from typing import Any

from alembic.config import Config
from alembic.script import ScriptDirectory
from psycopg import ClientCursor
from sqlalchemy import Engine, event

from todo.config.settings import Settings
from todo.db.migrate import SCRIPTS, migrate
from todo.db.tables import CONTRACTS, REVISIONS

_REACHED = re.compile(r"UPDATE alembic_version SET version_num='(\d{4})'")


def main(url: str) -> None:
    revisions: dict[str, list[str]] = {}
    statements: list[str] = []

    def note(
        _connection: object,
        cursor: Any,  # noqa: ANN401 - the driver's
        statement: str,
        parameters: Any,  # noqa: ANN401 - of either form
        _context: object,
        executemany: bool,  # noqa: FBT001 - likewise
    ) -> None:
        values = parameters[0] if executemany else parameters
        text = ClientCursor(cursor.connection).mogrify(statement, values)
        if found := _REACHED.match(text):
            revisions[found[1]] = statements.copy()
            statements.clear()
        elif not text.lstrip().startswith("SELECT"):
            # What `migrate` and SQLAlchemy look up changes nothing.
            statements.append(text)

    event.listen(Engine, "before_cursor_execute", note)
    migrate(Settings(database_url=url), lambda _line: None, contracts=True)

    config = Config()
    config.set_main_option("script_location", str(SCRIPTS))
    scripts = ScriptDirectory.from_config(config)
    json.dump([_describe(scripts, *each) for each in revisions.items()], sys.stdout)


def _describe(scripts: ScriptDirectory, revision: str, statements: list[str]) -> dict[str, Any]:
    revisions = (*REVISIONS, *CONTRACTS)
    before = revisions[revisions.index(revision) - 1]
    module, former = (scripts.get_revision(each).module for each in (revision, before))
    return {
        "revision": revision,
        "statements": statements,
        "contracts": module.oldest_program > former.oldest_program,
        "lint_exceptions": getattr(module, "lint_exceptions", {}),
    }


if __name__ == "__main__":
    main(sys.argv[1])
