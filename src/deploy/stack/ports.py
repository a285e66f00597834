"""The loopback ports of the stack: whether they are free, and the drop-in for another one."""

from __future__ import annotations

import socket

from deploy.stack import install
from deploy.stack.services import SOCKET

DROPIN = "todo-backend.socket.d/50-port.conf"


def is_free(host: str, port: int) -> bool:
    """Whether an address can be listened on."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        # As systemd does: a port in TIME_WAIT is free to listen on.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host.strip("[]"), port))
        except OSError:
            return False
    return True


def render_dropin(port: int) -> str:
    """The drop-in of the socket for another public port."""
    lines = install.shipped()[SOCKET].splitlines()
    listen = [line for line in lines if line.startswith("ListenStream=")]
    listen[0] = f"ListenStream=127.0.0.1:{port}"
    return "\n".join(
        [
            "# Written by `build.py up --port`; `--port 8000` goes back.",
            "[Socket]",
            "# An empty assignment drops the addresses of the unit itself.",
            "ListenStream=",
            *listen,
            "",
        ]
    )
