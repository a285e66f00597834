"""Development server: the backend on embedded SQLite, restarted whenever its source changes."""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
import sys
import time
from typing import TYPE_CHECKING

from deploy import atomic_write, paths, process
from deploy.errors import DeployError, ExitCode
from deploy.progress import say
from deploy.stack import admin

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from subprocess import Popen

DEFAULT_PORT = 8000
_MANAGEMENT_OFFSET = 1000
"""Difference between the management port and the public port."""

_CONNECT_S = 1.0
_POLL_S = 0.1

_SOURCE_CANNOT_MEND = frozenset({71, 77, 78})
"""Exit codes of the backend (invalid port, secret or option) that a source change cannot fix."""


def render_environment(port: int, environ: Mapping[str, str], folder: Path) -> dict[str, str]:
    """Return the backend's environment; options that the caller's environment sets are kept."""
    defaults = {
        "TODO_DATABASE_URL": f"sqlite+aiosqlite:///{folder}/todo.db",
        "TODO_DATABASE_MIGRATE": "startup",
        "TODO_TOKEN_SECRET_FILE": str(folder / "token-secret"),
        "TODO_PROBE_BIND": f"unix:{folder}/probe-{port}.sock",
    }
    return {
        **{name: environ.get(name, value) for name, value in defaults.items()},
        "TODO_BIND": f"127.0.0.1:{port}",
        "TODO_MANAGEMENT_BIND": f"127.0.0.1:{port + _MANAGEMENT_OFFSET}",
        "PYTHONPATH": str(paths.REPO / "src"),
    }


def serve(port: int, *, reload: bool) -> int:
    """Serve until Ctrl-C, and return 0 or the exit code of the backend.

    Raises:
        DeployError: A port is in use.
    """
    require_free(port)
    require_free(port + _MANAGEMENT_OFFSET, f"it is the management port of {port}, ")
    _make_secret(paths.dev_data_dir())
    environment = render_environment(port, os.environ, paths.dev_data_dir())
    greeted = False
    say("Starting the backend from src/ …")
    with contextlib.suppress(KeyboardInterrupt):
        while True:
            with _backend(environment) as backend:
                if not greeted and _wait_listening(backend, port):
                    greeted = True
                    say(render_greeting(port, paths.dev_data_dir()))
                if not reload:
                    return backend.wait()
                code = _wait_for_change(backend)
                if code is not None:
                    return code
    return 0


def render_greeting(port: int, folder: Path) -> str:
    """Return instructions for a first request, with a command that can be pasted unchanged."""
    return (
        f"\nServing at http://127.0.0.1:{port}, with its documentation at /docs; "
        f"the data is in {folder}.\n"
        "Ctrl-C stops it. A token: python3 build.py dev --token alice. "
        "A first request, from another terminal in this folder:\n\n"
        f"  curl http://127.0.0.1:{port}/api/v1/tasks "
        '-H "Authorization: Bearer $(python3 build.py dev --token alice)" '
        "-H 'Content-Type: application/json' -d '{\"title\": \"Water the plants\"}'\n"
    )


def token(subject: str) -> str:
    """Return a token for the development server; raise a DeployError for an invalid subject."""
    _make_secret(paths.dev_data_dir())
    environment = render_environment(DEFAULT_PORT, os.environ, paths.dev_data_dir())
    argv = [sys.executable, "-m", "todo.admin", "token", f"--subject={subject}"]
    return admin.issue(argv, env=environment)


def require_free(port: int, purpose: str = "") -> None:
    """Raise a DeployError if a loopback port is not free; its hint starts with `purpose`."""
    with socket.socket() as probe:
        # Like a server, ignore connections in TIME_WAIT.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise DeployError(
                f"cannot listen on port {port} of 127.0.0.1: {error.strerror}",
                hint=f"{purpose}choose another port with --port",
                code=ExitCode.CONFIG,
            ) from None


def _backend(environment: Mapping[str, str]) -> contextlib.AbstractContextManager[Popen[bytes]]:
    return process.beside([sys.executable, "-m", "todo"], env=environment, cwd=paths.REPO)


def _wait_listening(backend: Popen[bytes], port: int) -> bool:
    """Wait until the backend accepts connections; return False if it stops first."""
    while backend.poll() is None:
        with (
            contextlib.suppress(OSError),
            socket.create_connection(("127.0.0.1", port), timeout=_CONNECT_S),
        ):
            return True
        time.sleep(_POLL_S)
    return False


def _wait_for_change(backend: Popen[bytes]) -> int | None:
    """Return None once the source changes, or the exit code if a change cannot help."""
    import watchfiles  # noqa: PLC0415 - not in the environment of build.lock

    source = paths.REPO / "src/todo"
    told = False
    # watch() also yields empty sets, so that the loop can check the backend.
    for changes in watchfiles.watch(source, debounce=300, rust_timeout=500, yield_on_timeout=True):
        if changes:
            names = sorted({os.path.relpath(name, paths.REPO) for _, name in changes})
            say(f"Changed: {', '.join(names)}. Restarting.")
            return None
        code = backend.poll()
        if code in _SOURCE_CANNOT_MEND:
            return code
        if code is not None and not told:
            told = True
            say(f"The backend stopped (exit code {code}); a change of the source restarts it.")
    return 0


def _make_secret(folder: Path) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    file = folder / "token-secret"
    if file.exists():
        return
    # An existing file is kept, because another backend may have read it already.
    with contextlib.suppress(FileExistsError):
        text = secrets.token_urlsafe(48) + "\n"
        atomic_write.write_text(file, text, mode=0o600, overwrite=False)
