"""Start a container and time its program, from exec to the first answers with status 200.

Runs beside the container, with the standard library only, and prints one JSON object. The container
is made and initialized first, so that making it is not part of the figure; its socket is bound here
and inherited, with the requests already waiting in it, so that nothing polls.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import select
import socket
import subprocess
import sys
import time
from pathlib import Path

NAME = "bench-start"
_TIMEOUT_S = 60.0
_POLL_S = 0.0002
_RETRY_S = 0.005
_FIRST_FD = 3
_TICKS = os.sysconf("SC_CLK_TCK")
# The program's first argument, as the kernel shortens it.
_INTERPRETER = "python"


@dataclasses.dataclass
class Request:
    """One request that is sent again until it is answered 200."""

    path: str
    token: str

    def send(self, address: tuple[str, int]) -> socket.socket:
        """Connect, which a listening socket grants at once, and send."""
        client = socket.create_connection(address, timeout=_TIMEOUT_S)
        client.sendall(
            f"GET {self.path} HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n"
            f"Authorization: Bearer {self.token}\r\n\r\n".encode()
        )
        return client


def main() -> int:
    """Start one container and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--token", required=True)
    parser.add_argument("--path", action="append", required=True)
    parser.add_argument("--image", required=True)
    parser.add_argument("create", nargs="*", help="options of `podman create`")
    options = parser.parse_args()
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(16)
        address = listener.getsockname()
        # The last of two options counts: the caller may have named the container otherwise.
        create = ["podman", "create", *options.create, "--replace", f"--name={NAME}"]
        subprocess.run([*create, options.image], check=True, stdout=subprocess.DEVNULL)
        initialize(listener)
    asked = ["podman", "inspect", "--format={{.State.Pid}}", NAME]
    pid = int(subprocess.run(asked, check=True, capture_output=True, text=True).stdout)
    requests = [Request(path, options.token) for path in options.path]
    waiting = {request.send(address): request for request in requests}
    with subprocess.Popen(["podman", "start", NAME], stdout=subprocess.DEVNULL):
        report = {"pid": pid, "answers": time_answers(pid, waiting, address)}
    sys.stdout.write(json.dumps(report) + "\n")
    return 0


def initialize(listener: socket.socket) -> None:
    """Let the runtime prepare the container up to its exec, with the socket to inherit."""
    os.dup2(listener.fileno(), _FIRST_FD)
    # Podman takes sockets only when LISTEN_PID is its own process id.
    with_pid = 'LISTEN_PID=$$ exec "$@"'
    subprocess.run(
        ["sh", "-c", with_pid, "sh", "podman", "init", NAME],
        check=True,
        stdout=subprocess.DEVNULL,
        pass_fds=(_FIRST_FD,),
        env={**os.environ, "LISTEN_FDS": "1"},
    )


def time_answers(
    pid: int, waiting: dict[socket.socket, Request], address: tuple[str, int]
) -> dict[str, dict[str, float]]:
    """Path -> seconds of wall clock and of CPU from exec to the first 200."""
    comm = Path(f"/proc/{pid}/comm")
    deadline = time.monotonic() + _TIMEOUT_S
    while not comm.read_text().startswith(_INTERPRETER):
        give_up_after(deadline)
        time.sleep(_POLL_S)
    started, cpu_before = time.monotonic(), cpu_s(pid)
    answers = {}
    while waiting:
        give_up_after(deadline)
        readable, _, _ = select.select(list(waiting), [], [], _TIMEOUT_S)
        now, cpu = time.monotonic() - started, cpu_s(pid) - cpu_before
        for client in readable:
            request = waiting.pop(client)
            with client:
                answered = client.recv(4096).startswith(b"HTTP/1.1 200 ")
            if answered:
                answers[request.path] = {"wall_s": round(now, 4), "cpu_s": round(cpu, 4)}
            else:
                time.sleep(_RETRY_S)
                waiting[request.send(address)] = request
    return answers


def give_up_after(deadline: float) -> None:
    """Fail once it is too late.

    Raises:
        TimeoutError: The deadline has passed.
    """
    if time.monotonic() > deadline:
        raise TimeoutError(f"the container did not answer within {_TIMEOUT_S:.0f} s")


def cpu_s(pid: int) -> float:
    """User and system time of a process with all its threads so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


if __name__ == "__main__":
    sys.exit(main())
