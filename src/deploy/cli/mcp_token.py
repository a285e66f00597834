"""`build.py mcp-token`."""

from __future__ import annotations

import json
import shlex

from plumbum import cli

from deploy import command_hints, paths
from deploy.bootstrap.entrypoint import write_output
from deploy.cli.stack_command import StackCommand
from deploy.stack import admin, status

_SCOPES = ("read", "write")
_DAYS = "90"
_WRITES = "500"
_ADDRESS = "http://127.0.0.1:8000"
_BRIDGE = "src/todo/mcp/__main__.py"


class McpToken(StackCommand):
    """Print a limited API token for an agent of a user, and how to connect the agent."""

    days = cli.SwitchAttr(
        "--days", str, argname="DAYS", help=f"days until expiry, 1 to 365 (default: {_DAYS})"
    )
    scopes = cli.SwitchAttr(
        "--scope",
        str,
        argname="SCOPE",
        list=True,
        help=f"scope: read, write or delete (default: {' and '.join(_SCOPES)})",
    )
    writes = cli.SwitchAttr(
        "--writes-per-hour",
        str,
        argname="NUMBER",
        help=f"maximum changes per hour (default: {_WRITES})",
    )
    name = cli.SwitchAttr("--name", str, argname="TEXT", help="name of the token (default: mcp)")

    def main(self, user: str) -> int:
        """Issue a token for USER, and print it."""
        given = {"days": self.days, "writes-per-hour": self.writes, "name": self.name}
        words = [f"--{option}={value}" for option, value in given.items() if value is not None]
        words += [f"--scope={scope}" for scope in self.scopes]
        code = self.elsewhere("mcp-token", [user, *words])
        if code is None:
            token = admin.token(
                user,
                days=self.days or _DAYS,
                scopes=self.scopes or _SCOPES,
                name=self.name or "mcp",
                writes_per_hour=self.writes or _WRITES,
            )
            write_output(render(token, status.check().url or _ADDRESS))
            code = 0
        return code


def render(token: str, url: str) -> str:
    """Render the token, and the configuration for clients that connect to this URL of the API."""
    endpoint = f"{url.rstrip('/')}/mcp"
    header = f"Authorization: Bearer {token}"
    add = ["claude", "mcp", "add", "--transport", "http", "todo", endpoint, "--header", header]
    remote = {"type": "http", "url": endpoint, "headers": {"Authorization": f"Bearer {token}"}}
    # In a lab, the checkout has another path.
    folder = "/PATH/TO/todo-backend" if command_hints.in_lab() else str(paths.REPO)
    bridge = {
        "command": "python3",
        "args": [f"{folder}/{_BRIDGE}"],
        "env": {"TODO_URL": url, "TODO_TOKEN": token},
    }
    return "\n".join(
        [
            token,
            "",
            "Claude Code:",
            f"  {shlex.join(add)}",
            "",
            "Clients over HTTP; below the name of the server in their configuration:",
            f"  {json.dumps({'todo': remote})}",
            "",
            "Clients that start a program, such as Claude Desktop:",
            f"  {json.dumps({'todo': bridge})}",
            "",
            "docs/mcp.md shows where each client stores it. The token cannot be shown again.",
            "",
        ]
    )
