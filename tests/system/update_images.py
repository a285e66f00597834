"""Images of the backend that are good, or bad in a certain way, made of one that is there."""

from __future__ import annotations

import json
import textwrap
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.system.stack_in_lab import Stack

# Python reads it at each start. Only the server is spoilt, neither the migration nor the probe.
_SERVER = """
import sys
if sys.orig_argv[1:] == ["-m", "todo"]:
"""
_MIDDLEWARE = """
import asyncio, time
import todo.server.run as run

make, started = run.create_app, time.monotonic()

class Spoilt:
    def __init__(self, app):
        self.app = app

    async def __call__(self, scope, receive, send):
        if scope["type"] == "http" and time.monotonic() - started > {after_s}:
            {act}
        await self.app(scope, receive, send)

def create_app(*arguments):
    app = make(*arguments)
    app.add_middleware(Spoilt)
    return app

run.create_app = create_app
"""
_SERVES = "os.environ.get('TODO_INSTANCE_FILE') != '/tmp/candidate'"
"""Whether users reach it: a candidate without users has this file."""
_REPLACES = "'candidate' not in os.environ.get('TODO_INSTANCE_FILE', '')"
_FAIL = "raise RuntimeError('spoilt')"
_MIGRATION = '''
"""A later revision."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None
oldest_program = "{oldest_program}"


def upgrade() -> None:
    op.create_table("later", sa.Column("id", sa.Integer))
    {act}
'''
_NEWER = """
import todo.db.tables as tables

tables.REVISIONS = (*tables.REVISIONS, "0014")
tables.EXPECTED_REVISION = "0014"
"""
_CONTRACT = '''
"""What takes away what that revision has added."""

from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None
oldest_program = "0014"


def upgrade() -> None:
    op.drop_table("later")
'''
_OLDER = """
import todo.db.tables as tables

tables.REVISIONS = tables.REVISIONS[:-1]
tables.EXPECTED_REVISION = tables.REVISIONS[-1]
"""
_SITE = "opt/todo/sitecustomize.py"
_VERSIONS = "opt/todo/todo/db/migrations/versions"
_REVISION = f"{_VERSIONS}/r0014_later.py"


def _spoil_server(source: str, condition: str = "True") -> dict[str, str]:
    guarded = f"import os\nif {condition}:\n{textwrap.indent(source, '    ')}"
    return {_SITE: f"{_SERVER}{textwrap.indent(guarded, '    ')}\n"}


def _spoil_requests(act: str, after_s: float = 0, condition: str = "True") -> dict[str, str]:
    return _spoil_server(_MIDDLEWARE.format(act=act, after_s=after_s), condition)


def _migrate(oldest_program: str = "0013", act: str = "") -> dict[str, str]:
    return {
        _SITE: _NEWER,
        _REVISION: _MIGRATION.format(oldest_program=oldest_program, act=act),
    }


IMAGES: Mapping[str, Mapping[str, str]] = {
    "good": {},
    "other": {},
    "exits": _spoil_server("raise SystemExit(9)"),
    "broken": {_SITE: "raise SystemExit(9)\n"},
    "hangs-at-import": {_SITE: "import time\ntime.sleep(86400)\n"},
    "never-ready": _spoil_server("import time; time.sleep(86400)"),
    "errors": _spoil_requests(_FAIL),
    "unknown-requests": _spoil_requests("scope = {**scope, 'path': '/gone'}"),
    "late-errors": _spoil_requests(_FAIL, 5, _SERVES),
    "silent": _spoil_requests("await asyncio.sleep(86400)"),
    "slow": _spoil_requests("await asyncio.sleep(1)"),
    "crashes": _spoil_server(
        "import threading; t = threading.Timer(10, os._exit, [9]); t.daemon = True; t.start()",
        _SERVES,
    ),
    "hangs": _spoil_server(
        "import signal, time\n"
        "signal.signal(signal.SIGALRM, lambda *_: time.sleep(86400))\n"
        "signal.setitimer(signal.ITIMER_REAL, 10)",
        _SERVES,
    ),
    "fails-as-instance": _spoil_server("raise SystemExit(9)", _REPLACES),
    "expands": _migrate(),
    "contracts": _migrate(oldest_program="0014"),
    "has-contract": {
        **_migrate(),
        _SITE: f'{_NEWER}tables.CONTRACTS = ("0015",)\n',
        f"{_VERSIONS}/r0015_contract.py": _CONTRACT,
    },
    "migration-fails": _migrate(act="raise RuntimeError('spoilt')"),
    "migration-hangs": _migrate(
        act="op.execute('LOCK TABLE task'); op.execute('SELECT pg_sleep(900)')"
    ),
    "too-old": {_SITE: _OLDER},
}
"""Name -> files that it has besides: path -> content.

broken and hangs-at-import do not load the program; late-errors, crashes and hangs show it only when
users reach them, seconds after the start of the process; fails-as-instance only when it is no
candidate any more.
"""


def make(stack: Stack, name: str, base: str = "localhost/todo-backend:latest") -> str:
    """Make one of `IMAGES` in the storage of the lab's user; returns its name and tag.

    Args:
        stack: The stack.
        name: Of the image.
        base: What it is made of.
    """
    tag = f"localhost/update-test:{name}"
    folder = f"images/{name}"
    # Otherwise it would pass for what this checkout is built to.
    lines = [f"FROM {base}", f"LABEL org.todo-backend.inputs={json.dumps(name)}"]
    stack.lab.run(["rm", "-rf", folder])
    stack.lab.run(["mkdir", "-p", folder])
    for number, (path, content) in enumerate(IMAGES[name].items()):
        stack.lab.run(["tee", f"{folder}/{number}"], stdin=content)
        lines.append(f"COPY --chmod=0644 {number} /{path}")
    stack.lab.run(["tee", f"{folder}/Containerfile"], stdin="\n".join([*lines, ""]))
    stack.podman("build", "--pull=never", "--quiet", f"--tag={tag}", folder)
    return tag
