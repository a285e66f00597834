"""The private environment that each command runs in. Standard library only.

`build.py` reads this before there is an environment, so that a command makes only the one that
it needs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_NEEDS_MORE = (
    "TODO_JWKS_URL",
    "TODO_JWKS_FILE",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
)
"""Options of the service with which it imports what serve.lock leaves out."""


def find_environment(arguments: Sequence[str], environ: Mapping[str, str]) -> str:
    """Return the name of the lock that a command line of `build.py` starts with.

    `dev` needs a driver for PostgreSQL, cryptography or an exporter of spans only where the
    environment configures one: then it takes the set of the tests, which has them.
    """
    if next((word for word in arguments if not word.startswith("-")), "") != "dev":
        return "build"
    embedded = environ.get("TODO_DATABASE_URL", "sqlite").startswith("sqlite")
    return "serve" if embedded and not any(map(environ.get, _NEEDS_MORE)) else "dev"
