"""Commands in messages, in the form that works on the reader's machine.

In a lab, `build.py` runs inside the lab, but the reader is on the host, so the commands in its
messages must work on the host. Standard library only.
"""

from __future__ import annotations

import os

LAB = "BUILD_LAB"
"""Environment variable with the name of the lab, set for each `build.py` that the host starts in
it."""
DEFAULT_LAB = "default"


def in_lab() -> bool:
    """Return whether this process acts in a lab for a reader on the host."""
    return LAB in os.environ


def build(words: str) -> str:
    """Return the command that runs `build.py` on the stack that this process acts on.

    Args:
        words: A command that has the switch `--lab`, with its arguments: "token alice".
    """
    lab = os.environ.get(LAB, DEFAULT_LAB)
    return f"python3 build.py {words}{'' if lab == DEFAULT_LAB else f' --lab {lab}'}"


def shell(command: str) -> str:
    """Return the command that runs a program on the machine that this process runs on.

    Args:
        command: The program and its arguments as a shell reads them.
    """
    lab = os.environ.get(LAB)
    if lab is None:
        return command
    name = "" if lab == DEFAULT_LAB else f" {lab}"
    return f"python3 build.py lab run{name} -- {command}"
