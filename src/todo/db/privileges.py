"""Privileges of the backend's database role, where another role owns the schema (PostgreSQL).

The backend's role may read and write only the rows that its statements need. The
journal is append-only for it: it has no UPDATE, DELETE or TRUNCATE there, and owns no table whose
rules it could change. Erasure goes through the function `erase_journal` (revision 0008).
"""

from collections.abc import Callable

from sqlalchemy import Connection, text

from todo.core.exit import ExitCode, FatalError

_ALL = "SELECT, INSERT, UPDATE, DELETE"
GRANTS = {
    "account": "SELECT, INSERT, UPDATE",
    "alembic_version": "SELECT",
    "api_token": _ALL,
    "conversation": _ALL,
    "idempotency": _ALL,
    "journal": "SELECT, INSERT",
    "list": _ALL,
    "list_share": _ALL,
    "message": _ALL,
    # What a plan does cannot change between the reading and the applying.
    "plan": "SELECT, INSERT, DELETE, UPDATE (applied_at)",
    "reminder": _ALL,
    "schema_compatibility": "SELECT",
    "task": _ALL,
    "task_tag": _ALL,
    "token_cutoff": "SELECT, INSERT, UPDATE",
}
"""Table -> what the backend may do with its rows. A unit test compares it with the tables."""

_OPTION = "TODO_DATABASE_BACKEND_ROLE"
_ERASE = "erase_journal(text, bigint, bigint)"

_ROLE = text("SELECT 1 FROM pg_roles WHERE rolname = :role")
_CURRENT = text("SELECT current_user, current_schema()")
_OWNED_DATABASE = text(
    "SELECT datname FROM pg_database"
    " WHERE datname = current_database() AND pg_get_userbyid(datdba) = :role"
)
_OWNED_SCHEMA = text(
    "SELECT 1 FROM pg_namespace WHERE nspname = :schema AND pg_get_userbyid(nspowner) = :role"
)
# A shared schema has tables of other programs, also of this role.
_OWNED_TABLES = text(
    "SELECT relname FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace"
    " WHERE nspname = :schema AND pg_get_userbyid(relowner) = :role"
    " AND relkind IN ('r', 'p') AND relname = ANY(:tables) ORDER BY relname"
)
_OWNED_FUNCTION = text(
    "SELECT 1 FROM pg_proc WHERE oid = to_regprocedure(:function)"
    " AND pg_get_userbyid(proowner) = :role"
)


def has_backend_role(connection: Connection, role: str, progress: Callable[[str], None]) -> bool:
    """Return whether the backend has another role than the one that migrates.

    Args:
        connection: Within the migration's transaction.
        role: The backend's.
        progress: Receives one line where one role does both.

    Raises:
        FatalError: The database has no such role.
    """
    if connection.scalar(_ROLE, {"role": role}) is None:
        message = (
            f"{_OPTION}: the role {role} does not exist in the database: create it, or set "
            f"{_OPTION}= (empty) to use one role"
        )
        raise FatalError(ExitCode.CONFIGURATION, message)
    if connection.execute(_CURRENT).one()[0] != role:
        return True
    progress(
        f"{_OPTION}: {role} is also the migrating role, so only the hash chain protects the journal"
    )
    return False


def take_ownership(connection: Connection, role: str) -> None:
    """Move the service's schema, tables and function from the backend's role to this one.

    A schema from before there were two roles belongs to the backend's. It takes a membership in
    that role, which the database image grants. What else the role owns stays with it.

    Args:
        connection: Within the migration's transaction.
        role: The backend's.

    Raises:
        FatalError: The backend's role owns the database.
    """
    user, schema = connection.execute(_CURRENT).one()
    database = connection.scalar(_OWNED_DATABASE, {"role": role})
    if database is not None:
        # The database's owner may drop tables of the schema `public`. To change it takes a
        # superuser or CREATEDB, and it may hold other programs' schemas.
        statement = f"ALTER DATABASE {_quote(connection, database)}"
        message = (
            f"{_OPTION}: {role} owns the database, so it could drop the journal: as a superuser, "
            f"run {statement} OWNER TO {_quote(connection, user)}"
        )
        raise FatalError(ExitCode.CONFIGURATION, message)
    quoted = _quote(connection, schema)
    owned = {"role": role, "schema": schema}
    taken = []
    if connection.scalar(_OWNED_SCHEMA, owned) is not None:
        taken.append(f"SCHEMA {quoted}")
    # Indexes and sequences of columns belong to their tables.
    tables = connection.scalars(_OWNED_TABLES, owned | {"tables": list(GRANTS)})
    taken += [f"TABLE {quoted}.{_quote(connection, table)}" for table in tables]
    function = f"{quoted}.{_ERASE}"
    if connection.scalar(_OWNED_FUNCTION, {"role": role, "function": function}) is not None:
        taken.append(f"FUNCTION {function}")
    for each in taken:
        connection.execute(text(f"ALTER {each} OWNER TO CURRENT_USER"))


def grant(connection: Connection, role: str) -> None:
    """Give the backend's role exactly what it needs, whatever it had before.

    Args:
        connection: Within the migration's transaction, after the schema is up to date.
        role: The backend's.
    """
    schema = _quote(connection, connection.execute(_CURRENT).one()[1])
    quoted = _quote(connection, role)
    tables = {table: f"{schema}.{_quote(connection, table)}" for table in GRANTS}
    statements = [
        f"REVOKE ALL ON {', '.join(tables.values())} FROM {quoted}, PUBLIC",
        f"REVOKE CREATE ON SCHEMA {schema} FROM {quoted}, PUBLIC",
        f"GRANT USAGE ON SCHEMA {schema} TO {quoted}",
        *(f"GRANT {rights} ON {tables[table]} TO {quoted}" for table, rights in GRANTS.items()),
        f"GRANT EXECUTE ON FUNCTION {schema}.{_ERASE} TO {quoted}",
    ]
    for statement in statements:
        connection.execute(text(statement))


def _quote(connection: Connection, name: str) -> str:
    return connection.dialect.identifier_preparer.quote(name)
