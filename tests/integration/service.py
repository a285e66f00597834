"""The backend as a child process, configured only by its environment."""

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

from tests.integration import schema_sources
from tests.machine_clock import CLOCK, wait_until
from todo import admin
from todo.auth.tokens import TokenVerifier

SOURCES = Path(__file__).parents[2] / "src"
SECRET = "an integration test's secret of 32+ bytes"  # noqa: S105
START_TIMEOUT_S = 120
"""As all limits here on a clock that slows down with the machine; none of it takes a tenth."""
_HTTP_TIMEOUT_S = 120
COVERAGE = "COVERAGE_PROCESS_CONFIG"
"""Set where coverage is measured, in child processes too."""
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
        **{name: value for name, value in os.environ.items() if name == COVERAGE},
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
    environment = {name: value for name, value in environment.items() if value != UNSET}
    schema_sources.prepare_sqlite(environment)
    return environment


def run_admin(environment: Mapping[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run one command of `todo.admin` to its end."""
    return subprocess.run(
        [sys.executable, "-m", "todo.admin", *arguments],
        env=environment,
        capture_output=True,
        text=True,
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
    if texts[1].endswith(": interrupted\n"):
        # The command has reported what was meant for the tests.
        raise KeyboardInterrupt
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
        """Return the standard error output."""
        return self._errors.read_text()

    def wait_for(self, message: str, timeout_s: float = START_TIMEOUT_S) -> dict[str, Any]:
        """Wait for an event in the log."""

        def find() -> dict[str, Any] | None:
            ended = self.process.poll() is not None
            for line in self._log.read_text().splitlines():
                if f'"{message}' in line:
                    event: dict[str, Any] = json.loads(line)
                    return event
            if ended:
                raise TimeoutError(f"ended without {message!r}: {self._explain()}")
            return None

        found = wait_until(find, message, within_s=timeout_s, explain=self._explain, poll_s=0.02)
        assert found is not None
        return found

    def _explain(self) -> str:
        return f"{self._log.read_text()[-3000:]} {self.errors[-3000:]}"

    def wait_started(self) -> None:
        self.wait_for("started")

    def token(self, subject: str = "alice", *, lifetime_s: int = 600) -> str:
        return TokenVerifier(SECRET.encode()).issue(subject, lifetime_s=lifetime_s)

    def client(self, token: str = "", *, management: bool = False) -> httpx.Client:
        """Open a client of the public (or the management) socket."""
        name = "management.sock" if management else "public.sock"
        return httpx.Client(
            base_url="http://todo",
            # Loading certificates for a Unix socket would take most of a test's time.
            transport=httpx.HTTPTransport(uds=str(self.folder / name), verify=False),
            headers={"Authorization": f"Bearer {token}"} if token else {},
            timeout=_HTTP_TIMEOUT_S,
        )

    def get_check(self, check: str) -> httpx.Response:
        with self.client(management=True) as client:
            return client.get(f"/{check}")

    def wait_ready(self, timeout_s: float = START_TIMEOUT_S) -> float:
        """Wait until it is ready; return the seconds that took, on a quiet machine."""
        began = CLOCK.now()
        self.wait_for("listening", timeout_s)
        self._wait_for_readiness(200, timeout_s)
        return CLOCK.now() - began

    def wait_not_ready(self) -> None:
        """Wait until it says so: what was right a moment ago is remembered for half a second."""
        self._wait_for_readiness(503, START_TIMEOUT_S)

    def _wait_for_readiness(self, status: int, timeout_s: float) -> None:
        wait_until(
            lambda: self.get_check("readyz").status_code == status,
            f"{status} from /readyz",
            within_s=timeout_s,
            explain=self._explain,
        )

    def stop(self, number: signal.Signals = signal.SIGTERM, timeout_s: float = 120) -> int:
        """Send a signal and return the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            wait_until(lambda: self.process.poll() is not None, "ended", within_s=timeout_s)
        finally:
            self.process.kill()
            self.process.wait()
        return self.process.returncode


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
            # A measured process writes what it recorded when it ends by itself.
            service.stop(signal.SIGTERM if COVERAGE in os.environ else signal.SIGKILL)
