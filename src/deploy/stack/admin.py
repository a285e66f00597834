"""Administration inside the running backend."""

from __future__ import annotations

from deploy import advice, tools
from deploy.errors import DeployError, ExitCode
from deploy.stack import journal, systemd
from deploy.stack.services import BACKEND


def token(subject: str) -> str:
    """A bearer token for a subject, issued inside the running backend.

    Raises:
        DeployError: The backend is not running, or the subject is not acceptable.
    """
    if not systemd.is_active(BACKEND):
        raise DeployError(
            "the backend is not running", hint=advice.build("up"), code=ExitCode.UNAVAILABLE
        )
    admin = ["/usr/bin/python3", "-m", "todo.admin", "token", "--subject", subject]
    try:
        return tools.run(["podman", "exec", "todo-backend", *admin]).stdout.strip()
    except tools.ToolError as error:
        if error.completed is None or not error.completed.stderr:
            raise
        said = journal.message_of(error.completed.stderr.splitlines()[-1])
        raise DeployError(f"no token: {said}", code=ExitCode.USAGE) from None
