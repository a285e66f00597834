"""Health probe: sends one request to the server's probe socket, then exits with 0 or 1.

Run as `python3 -I -S probe.py livez [SOCKET]`. It imports only built-in modules, such as `_socket`
instead of its wrapper `socket`, which halves the processor time of this frequent probe.

A server that is only slow, due to a busy machine or many requests, must not be restarted (ADR 44
and 52). The server's event loop increments a counter in a file beside the socket.
A blocked loop is a hang: after a second if the server is idle, after ten seconds of processor time
if it works, and after a minute if it waits for a processor or for its disk. A loop that runs but is
too busy to respond is alive. A server that has not opened its socket yet is starting, and alive.
"""

import _socket
import sys
from posix import listdir
from time import monotonic

IDLE_TIMEOUT_S = 1.0
"""Idle time in seconds after which a server with a blocked loop counts as hung."""
BUSY_TIMEOUT_S = 10.0
"""Processor time in seconds after which a server with a blocked loop counts as hung.

It is also the timeout for a response if the loop runs. Slow machines use it up more slowly.
"""
STUCK_TIMEOUT_S = 60.0
"""Time in seconds after which a server with a blocked loop counts as hung in any case."""
MAX_IDLE_S = 5.0
"""Idle time in seconds after which a missing response is a failure, even if the loop runs."""
START_TIMEOUT_S = 900.0
"""Age of the server in seconds after which a missing socket is a failure."""
DEFAULT_SOCKET = "/tmp/probe.sock"  # noqa: S108 - the container's own tmpfs
COUNTER_SUFFIX = ".loop"
"""Suffix of the file beside the socket that contains the event loop's counter."""
CHECKS = ("livez", "readyz", "startupz")
_MAX_ANSWER = 4096
_TICK_S = 0.1
# Values of the third field of /proc/PID/stat: running or ready to run, and waiting for a disk.
_BUSY_STATES = (b"R", b"D")
# A `struct ucred`: IDs of the peer's process, user and group, 32 bits each.
_UCRED_BYTES, _PID_BYTES = 12, 4
# Process ID of the server in its container.
_SERVER_PID = 1
# Fields of /proc/PID/stat after the name: state, user and system processor time, and start time
# since boot. The three times are in hundredths of a second.
_STATE, _USER, _SYSTEM, _START, _HZ = 0, 11, 12, 19, 100


class BusyError(OSError):
    """The server does not respond in time, but its event loop runs."""


def ask(check: str, path: str) -> bytes:
    """Send a request and return the whole response.

    Raises:
        BusyError: The server is too busy to respond.
        OSError: The server does not listen, or hangs.
    """
    client = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    try:
        client.settimeout(_TICK_S)
        client.connect(path)
        request = f"GET /{check} HTTP/1.1\r\nHost: probe\r\nConnection: close\r\n\r\n"
        client.sendall(request.encode())
        return _receive(client, path + COUNTER_SUFFIX)
    finally:
        client.close()


def _receive(client: _socket.socket, counter: str) -> bytes:
    credentials = client.getsockopt(_socket.SOL_SOCKET, _socket.SO_PEERCRED, _UCRED_BYTES)
    pid = int.from_bytes(credentials[:_PID_BYTES], sys.byteorder)
    watch = _Watch(pid, counter)
    answer = b""
    while len(answer) < _MAX_ANSWER:
        try:
            part = client.recv(_MAX_ANSWER)
        except TimeoutError:
            watch.look()
            continue
        if not part:
            break
        answer += part
    return answer


class _Watch:
    """Observation of a server that has not responded yet, once per tick."""

    def __init__(self, pid: int, counter: str) -> None:
        self._pid = pid
        self._counter = counter
        self._count = _read_file(counter)
        self._started = self._moved_at = monotonic()
        self._worked_s = _read_worked_s(pid)
        self._has_moved = False
        # Counted in ticks, not time, so that the server is not blamed for delays of the probe.
        self._idle_ticks = self._still_ticks = 0

    def look(self) -> None:
        """Return if the response may still arrive.

        Raises:
            BusyError: The server is too busy to respond.
            TimeoutError: The server hangs.
        """
        now = monotonic()
        is_idle = not _is_busy(self._pid)
        self._idle_ticks += is_idle
        self._still_ticks += is_idle
        count = _read_file(self._counter)
        if count != self._count:
            self._count, self._moved_at, self._has_moved = count, now, True
            self._worked_s = _read_worked_s(self._pid)
            self._still_ticks = 0
        if (
            self._still_ticks * _TICK_S >= IDLE_TIMEOUT_S
            or self._idle_ticks * _TICK_S >= MAX_IDLE_S
            or _read_worked_s(self._pid) - self._worked_s >= BUSY_TIMEOUT_S
            or now - self._moved_at >= STUCK_TIMEOUT_S
        ):
            raise TimeoutError
        if self._has_moved and now - self._started >= BUSY_TIMEOUT_S:
            raise BusyError


def _is_busy(pid: int) -> bool:
    """Return whether any thread of a process runs, or waits for a processor or a disk.

    The serving thread may wait for the interpreter's lock, which another thread holds.
    """
    try:
        threads = listdir(f"/proc/{pid}/task")
    except OSError:
        return False
    return any(_is_thread_busy(f"/proc/{pid}/task/{each}/stat") for each in threads)


def _is_thread_busy(path: str) -> bool:
    try:
        return _read(path)[_STATE] in _BUSY_STATES
    except OSError:
        # The thread has ended since the threads were listed, so it was running.
        return True


def _read_worked_s(pid: int) -> float:
    """Return the processor time of a process in seconds; 0 if it has ended."""
    try:
        fields = _read(f"/proc/{pid}/stat")
    except OSError:
        return 0.0
    return (int(fields[_USER]) + int(fields[_SYSTEM])) / _HZ


def _is_starting() -> bool:
    """Return whether the server is younger than the maximum startup time."""
    uptime_s = float(_read("/proc/uptime")[0])
    return uptime_s - int(_read(f"/proc/{_SERVER_PID}/stat")[_START]) / _HZ < START_TIMEOUT_S


def _read(path: str) -> list[bytes]:
    """Return the fields of a file in /proc, without a leading process name."""
    with open(path, "rb") as file:  # noqa: PTH123 - pathlib is not built in
        # The name is in parentheses, and may contain parentheses.
        return file.read().rpartition(b")")[2].split()


def _read_file(path: str) -> bytes:
    """Return the content of a file; empty if it cannot be read."""
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - pathlib is not built in
            return file.read()
    except OSError:
        return b""


def main(arguments: list[str]) -> int:
    """Probe once and print one line; return 0 if the server is healthy."""
    if not 1 <= len(arguments) <= 2 or arguments[0] not in CHECKS:  # noqa: PLR2004
        sys.stdout.write("usage: probe.py livez|readyz|startupz [SOCKET]\n")
        return 1
    check, path = arguments[0], arguments[1] if arguments[1:] else DEFAULT_SOCKET
    try:
        answer = ask(check, path)
    except (FileNotFoundError, ConnectionRefusedError) as error:
        starting = check == CHECKS[0] and _is_starting()
        sys.stdout.write(f"{check}: {'starting' if starting else error.strerror} ({path})\n")
        return 0 if starting else 1
    except BusyError:
        sys.stdout.write(f"{check}: no answer in time, but the event loop turns ({path})\n")
        return 0 if check == CHECKS[0] else 1
    except OSError as error:
        sys.stdout.write(f"{check}: {error.strerror or 'no answer in time'} ({path})\n")
        return 1
    head, _gap, body = answer.partition(b"\r\n\r\n")
    healthy = head.startswith(b"HTTP/1.1 200 ")
    sys.stdout.write(f"{check}: {body.decode('ascii', 'replace').strip()}\n")
    return 0 if healthy else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
