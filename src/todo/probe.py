"""Health probe: one request to the server's probe socket, then exit 0 or 1.

Run as `python3 -I -S probe.py livez [SOCKET]`. It imports no package and no module that is not
already built in: `_socket` is what `socket` wraps, and leaving the wrapper (with its `selectors`
and `enum`) out halves the CPU that a probe costs every few seconds for ever.
"""

import _socket
import sys
from time import monotonic

TIMEOUT_S = 1.0
DEFAULT_SOCKET = "/tmp/probe.sock"  # noqa: S108 - the container's own tmpfs
CHECKS = ("livez", "readyz", "startupz")
_MAX_ANSWER = 4096


def ask(check: str, path: str) -> bytes:
    """Return the whole answer to one request.

    Raises:
        OSError: There is no server, or it does not answer within `TIMEOUT_S`.
    """
    deadline = monotonic() + TIMEOUT_S
    client = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    try:
        client.settimeout(TIMEOUT_S)
        client.connect(path)
        request = f"GET /{check} HTTP/1.1\r\nHost: probe\r\nConnection: close\r\n\r\n"
        client.sendall(request.encode())
        answer = b""
        while len(answer) < _MAX_ANSWER:
            left = deadline - monotonic()
            if left <= 0:
                raise TimeoutError
            client.settimeout(left)
            part = client.recv(_MAX_ANSWER)
            if not part:
                break
            answer += part
        return answer
    finally:
        client.close()


def main(arguments: list[str]) -> int:
    """Probe once; print one line; return 0 when all is well."""
    if not 1 <= len(arguments) <= 2 or arguments[0] not in CHECKS:  # noqa: PLR2004
        sys.stdout.write("usage: probe.py livez|readyz|startupz [SOCKET]\n")
        return 1
    check, path = arguments[0], arguments[1] if arguments[1:] else DEFAULT_SOCKET
    try:
        answer = ask(check, path)
    except OSError as error:
        sys.stdout.write(f"{check}: {error.strerror or 'no answer in time'} ({path})\n")
        return 1
    head, _gap, body = answer.partition(b"\r\n\r\n")
    healthy = head.startswith(b"HTTP/1.1 200 ")
    sys.stdout.write(f"{check}: {body.decode('ascii', 'replace').strip()}\n")
    return 0 if healthy else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
