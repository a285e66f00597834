"""Programs of npm that judge the MCP endpoint: the conformance suite and the Inspector."""

import os
import platform
import subprocess
from pathlib import Path

from deploy.dev import suite_programs

_PACKAGES = "node_modules/@modelcontextprotocol"
CONFORMANCE = f"{_PACKAGES}/conformance/dist/index.js"
INSPECTOR = f"{_PACKAGES}/inspector/clients/launcher/build/index.js"
_MACHINES = {"x86_64": "x64", "aarch64": "arm64"}


def run_program(
    program: str, *arguments: str, home: Path, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run one of them with the Node that it needs."""
    tools = suite_programs.find_mcp_tools()
    if tools is None:
        raise FileNotFoundError("not here: python3 build.py test integration fetches them")
    node = tools / f"node_modules/node-linux-{_MACHINES[platform.machine()]}/bin/node"
    return subprocess.run(
        [str(node), str(tools / program), *arguments],
        env={"PATH": os.environ["PATH"], "HOME": str(home), **environment},
        cwd=home,
        capture_output=True,
        text=True,
        check=False,
    )
