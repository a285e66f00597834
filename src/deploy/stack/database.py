"""SQL statements in the stack's database, run as superuser by psql in its container."""

from __future__ import annotations

from deploy import process
from deploy.units.loader import load_contract
from deploy.units.spec import build_args

_CONTAINER = "todo-db"
_TIMEOUT_S = 600.0


def query(*statements: str) -> str:
    """Run statements and return their output: one row per line, columns separated by `|`.

    Raises:
        DeployError: The container is not running, or a statement failed.
    """
    arguments = build_args(load_contract())
    host, name = arguments["DB_SOCKET_DIR"], arguments["DB_NAME"]
    where = [f"--host={host}", "--username=postgres", f"--dbname={name}"]
    form = ["--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--set=ON_ERROR_STOP=1"]
    commands = [f"--command={statement}" for statement in statements]
    run = ["podman", "exec", _CONTAINER, "psql", *where, *form, *commands]
    return process.run(run, timeout_s=_TIMEOUT_S).stdout.strip()
