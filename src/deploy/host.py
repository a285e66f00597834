"""What this host has and lacks, and how to get it."""

from __future__ import annotations

import os
import shlex
from typing import TYPE_CHECKING

from deploy import tools
from deploy.errors import DeployError, ExitCode
from deploy.progress import step

if TYPE_CHECKING:
    from collections.abc import Sequence


def ensure_packages(names: Sequence[str], *, assume_yes: bool) -> None:
    """Install Debian packages as root; otherwise say how.

    Raises:
        DeployError: They cannot be installed from here, or apt-get failed.
    """
    install = ["apt-get", "install", "--yes", "--no-install-recommends", *names]
    if tools.find("apt-get") is None or (os.geteuid() != 0 and not assume_yes):
        message = f"missing on this host: {', '.join(names)}"
        raise DeployError(message, hint=f"sudo {shlex.join(install)}", code=ExitCode.UNAVAILABLE)
    with step(f"Installing {', '.join(names)}") as current:
        prefix = [] if os.geteuid() == 0 else ["sudo", "--non-interactive"]
        env = {"DEBIAN_FRONTEND": "noninteractive"}
        tools.stream([*prefix, "apt-get", "update"], current, timeout_s=300, env=env)
        tools.stream([*prefix, *install], current, timeout_s=900, env=env)
