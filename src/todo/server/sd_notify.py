"""sd_notify: reports the state of the process to the service manager."""

import contextlib
import os
import socket


def notify(state: str) -> None:
    """Send a state such as `READY=1`; without a service manager nothing happens."""
    path = os.environ.get("NOTIFY_SOCKET", "")
    if not path:
        return
    # An abstract socket is written with @ in the environment, and with NUL in its address.
    address = f"\0{path[1:]}" if path.startswith("@") else path
    with (
        contextlib.suppress(OSError),
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as client,
    ):
        client.connect(address)
        client.sendall(state.encode())
