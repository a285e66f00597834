"""Known causes of a program's failure (full disk, no network). Standard library only."""

from __future__ import annotations

import dataclasses

from deploy.errors import ExitCode


@dataclasses.dataclass(frozen=True)
class Symptom:
    """Cause that many programs share, found by `marks` in their output (lowercase).

    `message` completes a sentence that starts with the program's name.
    """

    message: str
    hint: str
    code: ExitCode
    marks: tuple[str, ...]


NO_SPACE = Symptom(
    "ran out of disk space",
    "free some, or point TMPDIR, XDG_CACHE_HOME and XDG_DATA_HOME to a larger disk",
    ExitCode.NO_SPACE,
    ("no space left on device", "disk quota exceeded", "have enough free space"),
)
NO_NETWORK = Symptom(
    "could not reach the network",
    "check the connection and the proxy settings, then run the command again",
    ExitCode.UNAVAILABLE,
    (
        "temporary failure resolving",
        "temporary failure in name resolution",
        "name or service not known",
        "network is unreachable",
        "could not resolve host",
        "no address associated with hostname",
        "failed to establish a new connection",
        "max retries exceeded",
        "could not connect to",
        "dns error",
    ),
)


def find(output: str) -> Symptom | None:
    """Return the cause that a failed program's output reveals, or None."""
    text = output.lower()
    for symptom in (NO_SPACE, NO_NETWORK):
        if any(mark in text for mark in symptom.marks):
            return symptom
    return None
