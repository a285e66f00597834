"""The backend as a child process, configured by its environment alone."""

import contextlib
import io
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from unittest import mock

import httpx

from todo import admin
from todo.auth.tokens import Tokens

SOURCES = Path(__file__).parents[2] / "src"
SECRET = "an integration test's secret of 32+ bytes"  # noqa: S105
START_TIMEOUT_S = 60
# As the value of an option: leave the variable out.
UNSET = "(unset)"
# Puts the given descriptors where a service manager would, then becomes the program.
_ACTIVATE = """
import os, sys
count = int(sys.argv[1])
spare = [os.dup(int(number)) for number in sys.argv[2:2 + count]]
safe = [os.dup2(fd, 100 + index) for index, fd in enumerate(spare)]
for index, fd in enumerate(safe):
    os.dup2(fd, 3 + index)
os.environ["LISTEN_PID"] = str(os.getpid())
os.environ["LISTEN_FDS"] = str(count)
os.execv(sys.executable, [sys.executable, *sys.argv[2 + count:]])
"""


def make_environment(folder: Path, options: Mapping[str, str]) -> dict[str, str]:
    """Return an environment for one server: every socket and file below `folder`."""
    secret = folder / "secret"
    secret.write_text(SECRET)
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "PYTHONPATH": str(SOURCES),
        "PYTHONWARNINGS": "error",
        "XDG_DATA_HOME": str(folder / "data"),
        "TODO_BIND": f"unix:{folder}/public.sock",
        "TODO_MANAGEMENT_BIND": f"unix:{folder}/management.sock",
        "TODO_PROBE_BIND": f"unix:{folder}/probe.sock",
        "TODO_TOKEN_SECRET_FILE": str(secret),
        **options,
    }
    return {name: value for name, value in environment.items() if value != UNSET}


def run_admin(environment: Mapping[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run one command of `todo.admin` to its end."""
    return subprocess.run(
        [sys.executable, "-m", "todo.admin", *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def call_admin(environment: Mapping[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    """As `run_admin`, in this process: starting Python takes longer than most commands."""
    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8") for _ in range(2))
    with (
        mock.patch.dict(os.environ, environment, clear=True),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        code = admin.main(list(arguments))
    texts = []
    for stream in (out, err):
        stream.seek(0)
        texts.append(stream.read())
    return subprocess.CompletedProcess(arguments, code, *texts)


class Service:
    """One running backend."""

    def __init__(
        self,
        folder: Path,
        options: Mapping[str, str] | None = None,
        *,
        inherited: Sequence[socket.socket] = (),
    ) -> None:
        self.folder = folder
        self.environment = make_environment(folder, options or {})
        self._log = folder / f"log-{time.monotonic_ns()}"
        self._errors = self._log.with_suffix(".err")
        command = [sys.executable, "-m", "todo"]
        numbers = [listener.fileno() for listener in inherited]
        if numbers:
            shim = [sys.executable, "-c", _ACTIVATE, str(len(numbers)), *map(str, numbers)]
            command = [*shim, "-m", "todo"]
        with self._log.open("wb") as out, self._errors.open("wb") as err:
            self.process = subprocess.Popen(
                command,
                env=self.environment,
                pass_fds=numbers,
                stdout=out,
                stderr=err,
            )

    @property
    def events(self) -> list[dict[str, Any]]:
        """Every line on standard output, which must be JSON."""
        return [json.loads(line) for line in self._log.read_text().splitlines()]

    @property
    def errors(self) -> str:
        """What was written to standard error."""
        return self._errors.read_text()

    def wait_for(self, message: str, timeout_s: float = START_TIMEOUT_S) -> dict[str, Any]:
        """Wait for an event in the log."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            for line in self._log.read_text().splitlines():
                if f'"{message}' in line:
                    event: dict[str, Any] = json.loads(line)
                    return event
            if self.process.poll() is not None:
                break
            time.sleep(0.02)
        msg = f"no {message!r}: {self._log.read_text()[-3000:]} {self.errors[-3000:]}"
        raise TimeoutError(msg)

    def wait_started(self) -> None:
        self.wait_for("started")

    def token(self, subject: str = "alice", *, lifetime_s: int = 600) -> str:
        return Tokens(SECRET.encode()).issue(subject, lifetime_s=lifetime_s)

    def client(self, token: str = "", *, management: bool = False) -> httpx.Client:
        """Open a client of the public (or the management) socket."""
        name = "management.sock" if management else "public.sock"
        return httpx.Client(
            base_url="http://todo",
            # Loading certificates for a Unix socket would take most of a test's time.
            transport=httpx.HTTPTransport(uds=str(self.folder / name), verify=False),
            headers={"Authorization": f"Bearer {token}"} if token else {},
            timeout=20,
        )

    def get_check(self, check: str) -> httpx.Response:
        with self.client(management=True) as client:
            return client.get(f"/{check}")

    def wait_ready(self, timeout_s: float = START_TIMEOUT_S) -> float:
        """Wait until it is ready; return the seconds that took."""
        began = time.monotonic()
        self.wait_for("listening", timeout_s)
        while time.monotonic() - began < timeout_s:
            if self.get_check("readyz").status_code == 200:
                return time.monotonic() - began
            time.sleep(0.05)
        msg = f"not ready: {self._log.read_text()[-3000:]} {self.errors[-3000:]}"
        raise TimeoutError(msg)

    def wait_not_ready(self) -> None:
        """Wait until it says so: what was right a moment ago is remembered for half a second."""
        deadline = time.monotonic() + START_TIMEOUT_S
        while self.get_check("readyz").status_code != 503:
            assert time.monotonic() < deadline, "still ready"
            time.sleep(0.05)

    def stop(self, number: signal.Signals = signal.SIGTERM, timeout_s: float = 20) -> int:
        """Send a signal and return the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            return self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise


@contextlib.contextmanager
def open_folder() -> Iterator[Path]:
    """Make a folder with a path short enough for Unix sockets."""
    folder = Path(tempfile.mkdtemp(prefix="todo-it-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


@contextlib.contextmanager
def open_service(
    options: Mapping[str, str], *, inherited: Sequence[socket.socket] = ()
) -> Iterator[Service]:
    """Run a backend for the length of the block."""
    with open_folder() as folder:
        service = Service(folder, options, inherited=inherited)
        try:
            yield service
        finally:
            service.stop(signal.SIGKILL)
