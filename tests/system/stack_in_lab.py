"""The stack in a lab, as the system tests drive it."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import socket
import subprocess
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

from deploy.lab import manager
from tests import machine_clock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from deploy.process import Completed

BUILD = ("python3", "/srv/todo-backend/build.py")
IMAGES = "--image-cache=/var/cache/lab/images"
UP_TIMEOUT_S = 3600.0
COPY_CHECKOUT = 'tar -C /srv/todo-backend --exclude=./.hypothesis -c . | tar -C "$0" -x'
"""For bash: the checkout to a folder, without the unit tests' notes, which only root can read."""


@dataclasses.dataclass(frozen=True)
class Stack:
    """The stack in a lab, as its user and its clients see it."""

    lab: manager.Lab
    port: int
    management_port: int

    def build(self, *words: str, check: bool = True) -> Completed:
        """`build.py` as the lab's user."""
        return self.lab.run([*BUILD, *words], check=check, timeout_s=UP_TIMEOUT_S)

    def up(self, *words: str, check: bool = True) -> Completed:
        return self.build("up", "--no-lab", IMAGES, *words, check=check)

    def systemctl(self, *words: str, check: bool = True) -> Completed:
        return self.lab.run(["systemctl", "--user", *words], check=check, timeout_s=600)

    def podman(self, *words: str, check: bool = True) -> Completed:
        return self.lab.run(["podman", *words], check=check, timeout_s=600)

    def show(self, unit: str, name: str) -> str:
        return self.systemctl("show", unit, f"--property={name}", "--value").stdout.strip()

    def inspect(self, container: str) -> dict[str, Any]:
        (found,) = json.loads(self.podman("container", "inspect", container).stdout)
        assert isinstance(found, dict)
        return found

    def in_container(self, program: str, container: str = "todo-backend") -> str:
        """Return the output of a Python program in a container, which has no shell."""
        return self.podman("exec", container, "/usr/bin/python3", "-c", program).stdout.strip()

    def server_pid(self) -> int:
        """The backend's process id in the lab."""
        return int(self.inspect("todo-backend")["State"]["Pid"])

    def pss_mib(self, pid: int) -> float:
        """The proportional set size of a process of the lab."""
        rollup = self.lab.run(["cat", f"/proc/{pid}/smaps_rollup"], user="root").stdout
        (pss,) = (int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:"))
        return pss / 1024

    def signal_server(self, name: str) -> None:
        self.lab.run(["kill", "-s", name, str(self.server_pid())], user="root")

    def client(self, subject: str) -> httpx.Client:
        """An HTTP client of a user, over the port that the lab publishes on this host."""
        return httpx.Client(
            base_url=f"http://127.0.0.1:{self.port}",
            headers={"Authorization": f"Bearer {self.token(subject)}"},
            timeout=120,
        )

    @contextlib.contextmanager
    def drop_in(self, unit: str, text: str) -> Iterator[None]:
        """A drop-in of a unit file of Quadlet, loaded for the length of the block."""
        folder = f".config/containers/systemd/{unit}.d"
        file = f"{folder}/90-test.conf"
        try:
            self.lab.run(["mkdir", "-p", folder])
            self.lab.run(["tee", file], stdin=text)
            self.systemctl("daemon-reload")
            yield
        finally:
            self.lab.run(["rm", "-f", file])
            self.systemctl("daemon-reload")

    @contextlib.contextmanager
    def copy_of_checkout(self) -> Iterator[str]:
        """A copy of the checkout in the lab, to be spoilt; gives its folder."""
        folder = "copy"
        try:
            self.lab.run(["mkdir", folder])
            self.lab.run(["bash", "-o", "pipefail", "-c", COPY_CHECKOUT, folder])
            yield folder
        finally:
            self.lab.run(["rm", "-rf", folder])

    def token(self, subject: str) -> str:
        return self.build("token", subject, "--no-lab").stdout.strip()

    @contextlib.contextmanager
    def load(self, mode: str, seconds: float, *words: str) -> Iterator[dict[str, Any]]:
        """Requests of a user of their own, whose rate limit no other load has used.

        Args:
            mode: `fresh` or `keepalive`, see the load generator.
            seconds: How long; the usual rates use up the limit after 27 (keepalive) or 60 (fresh).
            *words: Further arguments of the load generator.

        Yields:
            What the load generator found, empty until the block has ended.
        """
        script = Path(__file__).parents[1] / "bench" / "load.py"
        token = self.token(f"load-{uuid.uuid4()}")
        argv = ["python3", str(script), mode, f"--token={token}", f"--seconds={seconds}", *words]
        found: dict[str, Any] = {}
        with subprocess.Popen(
            self.lab.netns_argv(argv), stdout=subprocess.PIPE, text=True
        ) as process:
            try:
                yield found
                output, _ = process.communicate(timeout=900)
            finally:
                process.kill()
        found.update(json.loads(output))

    def ready(self) -> httpx.Response:
        return httpx.get(f"http://127.0.0.1:{self.management_port}/readyz", timeout=60)

    def wait_ready(self, within_s: float = 300.0) -> None:
        wait_until(lambda: self.ready().status_code == httpx.codes.OK, within_s, "ready")


@contextlib.contextmanager
def open_machine() -> Iterator[Stack]:
    """A lab of its own without the stack, its ports published on this host."""
    port, management_port = free_port(), free_port()
    with manager.throwaway(publish={port: 8000, management_port: 9000}) as machine:
        yield Stack(machine, port, management_port)


def wait_until(met: Callable[[], bool], within_s: float, what: str) -> None:
    """Poll until `met` is true; an HTTP error counts as not yet."""
    machine_clock.wait_until(met, what, within_s=within_s, ignore=[httpx.HTTPError])


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
