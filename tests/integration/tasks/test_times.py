"""Times have one form: in each answer of both databases, and in each column of SQLite."""

from pathlib import Path

from sqlalchemy import DateTime

from tests.integration.service import Service
from tests.integration.stored import run_sql
from tests.integration.users import TASKS, MakePerson, invite
from tests.integration.walkthrough import take_tour
from todo.db.tables import metadata

LENGTH = len("2026-01-01T00:00:00.000000+00:00")


def test_a_time_has_six_digits_of_a_second_wherever_it_is_shown(
    service: Service, make_person: MakePerson, tmp_path: Path
) -> None:
    take_tour(service, make_person("alice"), tmp_path)


def test_a_fraction_is_shown_with_six_digits(make_person: MakePerson) -> None:
    alice = make_person("alice")
    for fraction, shown in ((".5", "500000"), ("", "000000"), (".120", "120000"), (".1", "100000")):
        due = f"2027-01-01T10:00:00{fraction}Z"
        made = alice.create(TASKS, title="t", due_at=due)
        assert made["due_at"] == f"2027-01-01T10:00:00.{shown}+00:00"
        assert alice.http.get(f"{TASKS}/{made['id']}").json() == made
        found = alice.http.get(f"/api/{alice.name}/tasks/{made['id']}").json()
        assert found["due_date"] == made["due_at"]


def test_sqlite_compares_times_of_one_length(sqlite_service: Service, tmp_path: Path) -> None:
    with invite(sqlite_service) as make:
        take_tour(sqlite_service, make("alice"), tmp_path)

    checked = set()
    for table in metadata.sorted_tables:
        for column in table.columns:
            if isinstance(column.type, DateTime):
                statement = f'SELECT DISTINCT length("{column.name}") FROM "{table.name}"'  # noqa: S608
                lengths = {length for (length,) in run_sql(sqlite_service, statement)}
                assert lengths <= {LENGTH, None}, (table.name, column.name)
                if LENGTH in lengths:
                    checked.add(f"{table.name}.{column.name}")
    assert checked >= {"task.due_at", "task.due_key", "task.updated_at", "journal.at"}
