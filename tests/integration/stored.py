"""Direct access to the database of a service, behind its back."""

import contextlib
import sqlite3
from pathlib import Path
from typing import Any

import psycopg

from tests.integration.cluster import BACKEND_ROLE, OWNER_ROLE
from tests.integration.service import Service


def run_sql(service: Service, statement: str, *values: object) -> list[tuple[Any, ...]]:
    """Run a statement (parameters are `?`) in the database of a service; return its rows.

    The role is the one that may change everything, as an administrator's.
    """
    if url := service.environment.get("TODO_DATABASE_URL"):
        url = url.replace(f"//{BACKEND_ROLE}@", f"//{OWNER_ROLE}@")
        text = statement.replace("?", "%s").encode()
        with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
            cursor = connection.execute(text, values)
            return cursor.fetchall() if cursor.description else []
    (path,) = Path(service.environment["XDG_DATA_HOME"]).rglob("todo.db")
    with contextlib.closing(sqlite3.connect(path, timeout=120)) as file, file:
        return file.execute(statement, values).fetchall()
