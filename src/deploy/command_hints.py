"""Commands in messages, in the form that works on the reader's machine.

In a lab, `build.py` runs inside the lab, but the reader is on the host, so the commands in its
messages must work on the host. Standard library only.
"""

from __future__ import annotations

import os

LAB = "BUILD_LAB"
"""Environment variable with the lab's name, set for every `build.py` that runs in a lab."""
DEFAULT_LAB = "default"


def in_lab() -> bool:
    """Return whether `build.py` on the host started this process in a lab."""
    return LAB in os.environ


def build(words: str) -> str:
    """Return a `build.py` command, with `--lab` if this process runs in a named lab."""
    lab = os.environ.get(LAB, DEFAULT_LAB)
    return f"python3 build.py {words}{'' if lab == DEFAULT_LAB else f' --lab {lab}'}"


def shell(command: str) -> str:
    """Return a shell command, wrapped in `build.py lab run` if this process runs in a lab."""
    lab = os.environ.get(LAB)
    if lab is None:
        return command
    name = "" if lab == DEFAULT_LAB else f" {lab}"
    return f"python3 build.py lab run{name} -- {command}"
