from todo.models import metadata
from todo.privileges import GRANTS


def test_every_table_has_its_privileges() -> None:
    assert set(GRANTS) == {*metadata.tables, "alembic_version"}


def test_the_journal_is_append_only() -> None:
    assert GRANTS["journal"] == "SELECT, INSERT"
