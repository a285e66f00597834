"""Paths: in the checkout, and on the machine of the user."""

from __future__ import annotations

import os
from pathlib import Path

REPO = Path(__file__).resolve().parents[2]
"""The checkout that this program belongs to."""

QUADLET = REPO / "quadlet"
KUBE = REPO / "kube"

_NAME = "todo-backend"


def lock_file(purpose: str) -> Path:
    """Return the lock file that pins the packages for a purpose, such as `runtime` or `dev`."""
    return REPO / "requirements" / f"{purpose}.lock"


def cache_dir() -> Path:
    """Return the folder of files that can be created again at any time; it is not created here."""
    return _xdg("XDG_CACHE_HOME", ".cache") / _NAME


def state_dir() -> Path:
    """State that later runs use: logs, records of what was built. Not created here."""
    return _xdg("XDG_STATE_HOME", ".local/state") / _NAME


def dev_data_dir() -> Path:
    """Return the database and the token secret of the development server. Not created here."""
    return state_dir() / "dev"


def labs_dir() -> Path:
    """Return a folder for each lab, with its disk. Not created here."""
    return state_dir() / "labs"


def _xdg(variable: str, default: str) -> Path:
    # The specification says that a relative path there is to be ignored.
    value = os.environ.get(variable, "")
    return Path(value) if Path(value).is_absolute() else Path.home() / default
