"""Paths in the checkout and in the user's XDG folders."""

from __future__ import annotations

import os
from pathlib import Path

REPO = Path(__file__).resolve().parents[2]
QUADLET = REPO / "quadlet"
KUBE = REPO / "kube"

_NAME = "todo-backend"


def lock_file(purpose: str) -> Path:
    """Return the lock file with the pinned packages of a purpose, such as `runtime` or `dev`."""
    return REPO / "requirements" / f"{purpose}.lock"


def cache_dir() -> Path:
    """Return the folder of files that can be recreated at any time; it may not exist."""
    return _xdg("XDG_CACHE_HOME", ".cache") / _NAME


def state_dir() -> Path:
    """Return the folder of persistent state, such as logs and build records; it may not exist."""
    return _xdg("XDG_STATE_HOME", ".local/state") / _NAME


def dev_data_dir() -> Path:
    """Return the folder of the development server's database and token secret; may not exist."""
    return state_dir() / "dev"


def labs_dir() -> Path:
    """Return the folder that contains one folder with a disk per lab; it may not exist."""
    return state_dir() / "labs"


def _xdg(variable: str, default: str) -> Path:
    # The XDG specification requires relative paths to be ignored.
    value = os.environ.get(variable, "")
    return Path(value) if Path(value).is_absolute() else Path.home() / default
