"""Environment and permissions that a `build.py` command line needs. Standard library only.

This runs before an environment exists, so that a command creates only the environment that it
needs, and installs nothing without permission.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from deploy.bootstrap import switches
from deploy.errors import DeployError, ExitCode

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_NEEDS_MORE = (
    "TODO_JWKS_URL",
    "TODO_JWKS_FILE",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
)
"""Options of the service that need packages outside serve.lock."""

_INSTALLING = ("up", "test")
"""Commands that install missing Debian packages when run as root, as the README documents."""

_CHECKING = ("lint", "format")
"""Commands that only run programs of dev.lock."""

_INFORMING = {"-h", "--help", "-v", "--version"}
"""Switches that make a command only print information."""

TIERS = ("unit", "integration", "system")
"""Test tiers that `build.py test` runs by default."""

ON_REQUEST = ("faults",)
"""Test tiers that run only if named, because they take too long for every change."""


def may_install(arguments: Sequence[str]) -> bool:
    """Return whether a command line allows root to install missing Debian packages."""
    own = arguments[: arguments.index("--")] if "--" in arguments else arguments
    if _INFORMING & set(own):
        return False
    command = _find_command(own)
    if not ("--yes" in own or command in _INSTALLING):
        return False
    return not command or _is_sound(command, arguments)


def _is_sound(command: str, arguments: Sequence[str]) -> bool:
    """Return whether the words after the command have no usage error."""
    return switches.find_usage_problem(command, arguments[arguments.index(command) + 1 :]) is None


def find_environment(arguments: Sequence[str], environ: Mapping[str, str]) -> str:
    """Return the purpose of the lock file whose environment a command line needs.

    `dev` needs serve.lock, or dev.lock if the environment configures PostgreSQL, a JWKS or an OTLP
    exporter, whose packages are not in serve.lock.
    """
    command = _find_command(arguments)
    if command in _CHECKING:
        return "dev"
    if command != "dev":
        return "build"
    embedded = environ.get("TODO_DATABASE_URL", "sqlite").startswith("sqlite")
    return "serve" if embedded and not any(map(environ.get, _NEEDS_MORE)) else "dev"


def split_tiers(words: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Split the words after `test` into test tiers and arguments for pytest.

    Arguments start at the first word that is an option or a path. If no tier is named, the result
    has no tiers when a path is given, and the default tiers otherwise.

    Raises:
        DeployError: A word before the arguments is not a tier.
    """
    start = next(
        (at for at, word in enumerate(words) if word.startswith("-") or "/" in word), len(words)
    )
    named, arguments = words[:start], tuple(words[start:])
    known = (*TIERS, *ON_REQUEST)
    for word in named:
        if word not in known:
            raise DeployError(
                f"unknown test tier {word}",
                hint=f"the tiers are {', '.join(known)}",
                code=ExitCode.USAGE,
            )
    if not named and any("/" in word and not word.startswith("-") for word in arguments):
        return (), arguments
    return tuple(tier for tier in known if tier in (named or TIERS)), arguments


def _find_command(arguments: Sequence[str]) -> str:
    return next((word for word in arguments if not word.startswith("-")), "")
