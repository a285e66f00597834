"""The units that make up the stack."""

from __future__ import annotations

SOCKET = "todo-backend.socket"
BACKEND = "todo-backend.service"
DB = "todo-db.service"
MIGRATE = "todo-migrate.service"
SERVICES = (DB, MIGRATE, BACKEND)
