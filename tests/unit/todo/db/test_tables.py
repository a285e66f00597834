from io import StringIO

from alembic.config import Config
from alembic.script import ScriptDirectory

from todo.db.migrate import SCRIPTS
from todo.db.tables import EXPECTED_REVISION, REVISIONS


def read_scripts() -> ScriptDirectory:
    config = Config(stdout=StringIO())
    config.set_main_option("script_location", str(SCRIPTS))
    return ScriptDirectory.from_config(config)


def test_the_program_knows_every_revision_in_order() -> None:
    scripts = read_scripts()

    assert tuple(s.revision for s in scripts.walk_revisions())[::-1] == REVISIONS
    assert scripts.get_heads() == [EXPECTED_REVISION]
