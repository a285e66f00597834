"""The backend's role in PostgreSQL: it works in a schema that another role owns."""

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.integration.cluster import BACKEND_ROLE, OWNER_ROLE, Cluster
from tests.integration.service import (
    Service,
    call_admin,
    make_environment,
    open_folder,
    open_service,
)
from tests.integration.users import LISTS, TASKS, invite, read

# Of everything of the service that has an owner: relations, functions, types.
OWNERS = """
SELECT DISTINCT pg_get_userbyid(owner) FROM (
    SELECT relnamespace, relowner FROM pg_class WHERE relname <> 'theirs'
    UNION ALL SELECT pronamespace, proowner FROM pg_proc
    UNION ALL SELECT typnamespace, typowner FROM pg_type WHERE typname NOT IN ('theirs', '_theirs')
) AS owned (namespace, owner) WHERE namespace = '{schema}'::regnamespace
"""
ENTRIES = "SELECT seq, after IS NOT NULL AS kept FROM journal ORDER BY owner, seq"


@pytest.fixture
def folder() -> Iterator[Path]:
    with open_folder() as folder:
        yield folder


def migrate(folder: Path, url: str, role: str = BACKEND_ROLE) -> tuple[int, str]:
    """Run `todo.admin migrate`; return its exit code and what it said."""
    options = {"TODO_DATABASE_URL": url, "TODO_DATABASE_BACKEND_ROLE": role}
    done = call_admin(make_environment(folder, options), "migrate")
    return done.returncode, done.stdout + done.stderr


def fill(service: Service) -> None:
    with invite(service) as make_person:
        person = make_person("alice")
        made = read(person.http.post(LISTS, json={"name": "Home"}), 201)
        read(person.http.post(TASKS, json={"title": "Water", "list_id": made["id"]}), 201)


def verify(folder: Path, url: str) -> None:
    done = call_admin(make_environment(folder, {"TODO_DATABASE_URL": url}), "verify")
    assert done.returncode == 0, done.stdout + done.stderr


def execute_as_backend(url: str, statement: str) -> None:
    with psycopg.connect(url.replace("+psycopg", "")) as connection:
        connection.execute(statement.encode())


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE journal SET after = NULL",
        "UPDATE journal SET hash = hash WHERE false",
        "DELETE FROM journal",
        "DELETE FROM journal WHERE false",
        "TRUNCATE journal",
        "TRUNCATE account CASCADE",
        "DROP TABLE journal",
        "ALTER TABLE journal DISABLE TRIGGER ALL",
        "ALTER TABLE journal RENAME TO other",
        f"ALTER TABLE journal OWNER TO {BACKEND_ROLE}",
        "CREATE RULE keep AS ON INSERT TO journal DO INSTEAD NOTHING",
        "CREATE TRIGGER keep BEFORE INSERT ON journal EXECUTE FUNCTION tsvector_update_trigger()",
        "SELECT 1 FROM journal FOR UPDATE",
        "DELETE FROM account",
        "UPDATE plan SET operations = '[]'",
        "UPDATE plan SET expires_at = now()",
        "TRUNCATE plan",
        "UPDATE alembic_version SET version_num = '0001'",
        "CREATE TABLE other (x int)",
        "CREATE TEMPORARY TABLE journal (x int)",
        f"SET ROLE {OWNER_ROLE}",
        f"GRANT {OWNER_ROLE} TO {BACKEND_ROLE}",
        "CREATE FUNCTION other() RETURNS void LANGUAGE sql AS ''",
        "ALTER FUNCTION erase_journal SECURITY INVOKER",
        "DROP FUNCTION erase_journal",
    ],
)
def test_the_backends_role_cannot_change_what_was_recorded(
    postgres_service: Service, statement: str
) -> None:
    url = postgres_service.environment["TODO_DATABASE_URL"]
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        execute_as_backend(url, statement)


def test_what_is_erased_is_the_journal_of_an_account_without_tasks(
    postgres_service: Service, cluster: Cluster
) -> None:
    url = postgres_service.environment["TODO_DATABASE_URL"]
    with invite(postgres_service) as make_person:
        person = make_person("alice")
        read(person.http.post(TASKS, json={"title": "Water"}), 201)
        erase = f"SELECT erase_journal('{person.name}', 0, 1000)"
        with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState, match="still has tasks"):
            execute_as_backend(url, erase)
        assert person.http.delete("/api/v1/me").status_code == 204
        mine = f"FROM journal WHERE owner = '{person.name}' AND operation IS DISTINCT FROM 'delete'"
        assert cluster.query(url, f"SELECT count(after), count(salt), count(*) {mine}") == [
            (0, 0, 1)
        ]


def test_the_function_finds_nothing_by_a_search_path(
    postgres_service: Service, cluster: Cluster
) -> None:
    url = postgres_service.environment["TODO_DATABASE_URL"]
    found = cluster.query(
        url,
        "SELECT prosecdef, proconfig, proowner::regrole::text,"
        " has_function_privilege('public', oid, 'EXECUTE')"
        " FROM pg_proc WHERE proname = 'erase_journal'",
    )
    assert found == [(True, ["search_path=pg_catalog, pg_temp"], OWNER_ROLE, False)]


def test_a_database_of_one_role_becomes_one_of_two(cluster: Cluster, folder: Path) -> None:
    url = cluster.make_database()
    options = {"TODO_DATABASE_URL": url, "TODO_DATABASE_MIGRATE": "startup"}
    with open_service(options) as service:
        service.wait_ready()
        fill(service)
    before = cluster.query(url, ENTRIES)
    assert len(before) == 2
    execute_as_backend(url, "UPDATE journal SET hash = hash")

    owner = cluster.hand_over(url)
    code, said = migrate(folder, owner)
    assert code == 0, said

    assert cluster.query(url, OWNERS.format(schema="public")) == [(OWNER_ROLE,)]
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        execute_as_backend(url, "UPDATE journal SET hash = hash")
    assert cluster.query(url, ENTRIES) == before
    verify(folder, url)
    with open_service({"TODO_DATABASE_URL": url}) as service:
        service.wait_ready()
        fill(service)
    verify(folder, url)
    assert migrate(folder, owner)[0] == 0


def test_one_role_does_both_where_no_other_is_named(cluster: Cluster, folder: Path) -> None:
    url = cluster.make_database()
    assert migrate(folder, url, "")[0] == 0
    with open_service({"TODO_DATABASE_URL": url}) as service:
        service.wait_ready()
        with invite(service) as make_person:
            person = make_person("alice")
            read(person.http.post(TASKS, json={"title": "Water"}), 201)
            assert person.http.delete("/api/v1/me").status_code == 204
    verify(folder, url)


def test_one_role_does_both_where_it_is_named_itself(cluster: Cluster, folder: Path) -> None:
    url = cluster.make_database()
    code, said = migrate(folder, url)
    assert (code, len(said.splitlines())) == (0, 2)
    assert (
        f"{BACKEND_ROLE} is also the migrating role, so only the hash chain protects the journal"
        in said
    )
    with open_service({"TODO_DATABASE_URL": url}) as service:
        service.wait_ready()
        fill(service)
    verify(folder, url)


def test_a_role_that_does_not_exist_is_refused(cluster: Cluster, folder: Path) -> None:
    code, said = migrate(folder, cluster.hand_over(cluster.make_database()), "nobody")
    assert (code, len(said.splitlines())) == (78, 1)
    assert "TODO_DATABASE_BACKEND_ROLE: the role nobody does not exist" in said
    assert "set TODO_DATABASE_BACKEND_ROLE= (empty) to use one role" in said


def test_a_backend_that_owns_the_database_is_refused(cluster: Cluster, folder: Path) -> None:
    url = cluster.make_database()
    owner = url.replace(f"//{BACKEND_ROLE}@", f"//{OWNER_ROLE}@")
    code, said = migrate(folder, owner)
    assert (code, len(said.splitlines())) == (78, 1)
    assert f"OWNER TO {OWNER_ROLE}" in said


def test_other_programs_keep_what_the_backends_role_owns(cluster: Cluster, folder: Path) -> None:
    other = cluster.make_database()
    url = cluster.make_database()
    execute_as_backend(url, "CREATE SCHEMA other CREATE TABLE theirs (x int)")
    execute_as_backend(url, "CREATE TABLE public.theirs (x int)")
    execute_as_backend(url, "GRANT SELECT ON public.theirs TO PUBLIC")
    granted = "SELECT has_table_privilege('public', 'public.theirs', 'SELECT')"
    assert migrate(folder, url, "")[0] == 0
    code, said = migrate(folder, cluster.hand_over(url))
    assert code == 0, said
    theirs = (
        "SELECT relowner::regrole::text FROM pg_class WHERE relname = 'theirs'"
        " UNION ALL SELECT nspowner::regrole::text FROM pg_namespace WHERE nspname = 'other'"
    )
    assert cluster.query(url, theirs) == [(BACKEND_ROLE,)] * 3
    databases = "SELECT datdba::regrole::text FROM pg_database WHERE datname = current_database()"
    assert cluster.query(other, databases) == [(BACKEND_ROLE,)]
    assert cluster.query(url, OWNERS.format(schema="public")) == [(OWNER_ROLE,)]
    assert cluster.query(url, granted) == [(True,)]


def test_a_schema_of_its_own_is_taken_over_with_everything_in_it(
    cluster: Cluster, folder: Path
) -> None:
    url = f"{cluster.make_database()}&options=-csearch_path%3Dmine"
    execute_as_backend(url, "CREATE SCHEMA mine")
    assert migrate(folder, url, "")[0] == 0

    code, said = migrate(folder, cluster.hand_over(url))

    assert code == 0, said
    assert cluster.query(url, OWNERS.format(schema="mine")) == [(OWNER_ROLE,)]
    schemas = "SELECT pg_get_userbyid(nspowner) FROM pg_namespace WHERE nspname = 'mine'"
    assert cluster.query(url, schemas) == [(OWNER_ROLE,)]
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        execute_as_backend(url, "CREATE TYPE other AS ENUM ()")


def test_the_backends_role_is_told_who_migrates(cluster: Cluster, folder: Path) -> None:
    url = cluster.make_database()
    cluster.hand_over(url)
    code, said = migrate(folder, url, "")
    assert (code, len(said.splitlines())) == (69, 1)
    assert "permission denied for schema public" in said
    assert "migrate as the role that owns the schema" in said


def test_a_privilege_that_is_missing_is_a_schema_that_does_not_match(
    cluster: Cluster, folder: Path
) -> None:
    url = cluster.make_database()
    owner = cluster.hand_over(url)
    assert migrate(folder, owner)[0] == 0
    with open_service({"TODO_DATABASE_URL": url}) as service:
        service.wait_ready()
        cluster.query(url, f"REVOKE ALL ON task FROM {BACKEND_ROLE}")
        with service.client(service.token()) as client:
            answer = client.get(TASKS)
            assert (answer.status_code, answer.json()["code"]) == (503, "schema-mismatch")
            assert migrate(folder, owner)[0] == 0
            assert client.get(TASKS).status_code == 200
