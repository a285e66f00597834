from todo.db.privileges import GRANTS
from todo.db.tables import metadata


def test_every_table_has_its_privileges() -> None:
    assert set(GRANTS) == {*metadata.tables, "alembic_version"}


def test_the_journal_is_append_only() -> None:
    assert GRANTS["journal"] == "SELECT, INSERT"
