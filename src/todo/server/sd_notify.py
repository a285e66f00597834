"""sd_notify: reports the state of the process to the service manager."""

import contextlib
import os
import socket


def notify(state: str) -> None:
    """Send a state such as `READY=1` to the service manager, if there is one."""
    path = os.environ.get("NOTIFY_SOCKET", "")
    if not path:
        return
    # Abstract sockets start with @ in the environment, and with NUL in the address.
    address = f"\0{path[1:]}" if path.startswith("@") else path
    with (
        contextlib.suppress(OSError),
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as client,
    ):
        client.connect(address)
        client.sendall(state.encode())
