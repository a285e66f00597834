from io import StringIO
from pathlib import Path

from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine

from todo.migrate import SCRIPTS, migrate
from todo.models import EXPECTED_REVISION, REVISIONS, metadata
from todo.settings import Settings


def read_scripts() -> ScriptDirectory:
    config = Config(stdout=StringIO())
    config.set_main_option("script_location", str(SCRIPTS))
    return ScriptDirectory.from_config(config)


def test_the_program_knows_every_revision_in_order() -> None:
    scripts = read_scripts()

    assert tuple(s.revision for s in scripts.walk_revisions())[::-1] == REVISIONS
    assert scripts.get_heads() == [EXPECTED_REVISION]


def test_the_migrations_lead_to_the_tables_of_the_program(tmp_path: Path) -> None:
    path = tmp_path / "todo.db"
    migrate(Settings(database_url=f"sqlite:///{path}"))
    engine = create_engine(f"sqlite:///{path}")
    try:
        with engine.connect() as connection:
            context = MigrationContext.configure(connection, opts={"compare_type": True})
            assert compare_metadata(context, metadata) == []
    finally:
        engine.dispose()
