"""Privileges of the backend's database role, if another role owns the schema (PostgreSQL).

The backend's role has only the privileges that its statements need. It can only append to the
journal: it has no UPDATE, DELETE or TRUNCATE there, and owns no table whose rules it could change.
The function `erase_journal` (revision 0008) erases entries.
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
    # The operations of a plan cannot change between preview and application.
    "plan": "SELECT, INSERT, DELETE, UPDATE (applied_at)",
    "reminder": _ALL,
    "schema_compatibility": "SELECT",
    "task": _ALL,
    "task_tag": _ALL,
    "token_cutoff": "SELECT, INSERT, UPDATE",
}
"""Privileges of the backend's role by table. A unit test compares them with the tables."""

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
# A shared schema may contain tables of other programs that have the same owner.
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
    """Return whether the backend's role differs from the migrating role.

    `progress` receives a line if one role does both.

    Raises:
        FatalError: The role does not exist in the database.
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
    """Transfer the service's schema, tables and function from the backend's role to this one.

    In older installations they belong to the backend's role. The transfer requires membership in
    that role, which the database image grants. Other objects of the role are not transferred.

    Raises:
        FatalError: The backend's role owns the database.
    """
    user, schema = connection.execute(_CURRENT).one()
    database = connection.scalar(_OWNED_DATABASE, {"role": role})
    if database is not None:
        # The database's owner may drop tables of the schema `public`. Changing the owner requires a
        # superuser or CREATEDB, and the database may contain other programs' schemas.
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
    # Indexes and sequences of columns change their owner with the table.
    tables = connection.scalars(_OWNED_TABLES, owned | {"tables": list(GRANTS)})
    taken += [f"TABLE {quoted}.{_quote(connection, table)}" for table in tables]
    function = f"{quoted}.{_ERASE}"
    if connection.scalar(_OWNED_FUNCTION, {"role": role, "function": function}) is not None:
        taken.append(f"FUNCTION {function}")
    for each in taken:
        connection.execute(text(f"ALTER {each} OWNER TO CURRENT_USER"))


def grant(connection: Connection, role: str) -> None:
    """Grant the backend's role exactly the privileges that it needs, and revoke all others."""
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
