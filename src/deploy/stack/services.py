"""The units that make up the stack."""

from __future__ import annotations

from deploy.errors import DeployError
from deploy.stack import install

SOCKET = "todo-backend.socket"
BACKEND = "todo-backend.service"
DB = "todo-db.service"
MIGRATE = "todo-migrate.service"
AI = "todo-ai.service"
SERVICES = (DB, MIGRATE, BACKEND)
"""What every stack runs, in the order in which it starts."""


def find_services() -> tuple[str, ...]:
    """What the stack of this user runs: with the local model where that is installed."""
    return (DB, MIGRATE, AI, BACKEND) if has_ai() else SERVICES


def find_possible_services() -> tuple[str, ...]:
    """As `find_services`; all that a stack can run where the record of its units is damaged."""
    try:
        return find_services()
    except DeployError:
        return (DB, MIGRATE, AI, BACKEND)


def has_ai() -> bool:
    """Whether the local model is installed."""
    return install.installed_text(f"{AI.removesuffix('.service')}.container") is not None
