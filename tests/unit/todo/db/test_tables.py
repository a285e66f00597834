from io import StringIO

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory

from todo.db.migrate import SCRIPTS
from todo.db.schema_version import SchemaVersion
from todo.db.tables import CONTRACTS, EXPECTED_REVISION, REVISIONS


def read_scripts() -> ScriptDirectory:
    config = Config(stdout=StringIO())
    config.set_main_option("script_location", str(SCRIPTS))
    return ScriptDirectory.from_config(config)


def test_the_program_knows_every_revision_in_order() -> None:
    scripts = read_scripts()

    known = (*REVISIONS, *CONTRACTS)
    assert tuple(s.revision for s in scripts.walk_revisions())[::-1] == known
    assert scripts.get_heads() == [known[-1]]


def test_the_program_works_before_and_after_its_contracts() -> None:
    scripts = read_scripts()
    oldest = [
        scripts.get_revision(each).module.oldest_program for each in (EXPECTED_REVISION, *CONTRACTS)
    ]

    # Each ends a former program, otherwise it belongs to the others.
    assert oldest == sorted(set(oldest))
    assert oldest[-1] <= EXPECTED_REVISION


def test_each_revision_names_the_oldest_program_that_works_with_it() -> None:
    since = [s for s in read_scripts().walk_revisions() if s.revision >= "0013"][::-1]
    oldest = [script.module.oldest_program for script in since]

    assert oldest == sorted(oldest)
    assert [
        o for script, o in zip(since, oldest, strict=True) if not "0013" <= o <= script.revision
    ] == []


@pytest.mark.parametrize(
    ("revision", "oldest", "supported"),
    [
        # Before 0013 there was no promise.
        ("", "", ()),
        ("0012", "", ("0012",)),
        ("0013", "0013", ("0013",)),
        # A program that expects a later revision waits for its migration.
        ("0014", "0013", ("0013", "0014")),
        ("0015", "0014", ("0014", "0015")),
    ],
)
def test_a_schema_works_with_the_programs_that_it_names(
    revision: str, oldest: str, supported: tuple[str, ...]
) -> None:
    version = SchemaVersion(revision, oldest)
    programs = ("0011", "0012", "0013", "0014", "0015", "0016")
    assert tuple(filter(version.supports, programs)) == supported
