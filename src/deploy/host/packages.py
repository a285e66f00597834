"""Installation of missing packages of this host's distribution, with the user's consent."""

from __future__ import annotations

import os
import shlex
from typing import TYPE_CHECKING

from deploy import process
from deploy.errors import DeployError, ExitCode
from deploy.host import probe
from deploy.progress import step

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

MEASURE_TOOLS = {"zstd": "zstd"}
"""Program -> Debian package for measuring compressed image sizes."""
_FEDORA = {
    "debian-archive-keyring": "debian-keyring",
    "python3-venv": "python3",
    "uidmap": "shadow-utils-subid",
}


def ensure_stack_packages(*, assume_yes: bool) -> None:
    """Install the missing Debian packages that the stack needs; see `ensure_packages`."""
    _ensure(probe.STACK_TOOLS, assume_yes=assume_yes, minimum={"podman": probe.MINIMUM_PODMAN})


def ensure_lab_packages(*, assume_yes: bool) -> None:
    """Install the missing Debian packages that a lab needs; see `ensure_packages`."""
    _ensure(probe.LAB_TOOLS, assume_yes=assume_yes)


def ensure_measure_packages(*, assume_yes: bool) -> None:
    """Install the missing Debian packages for measuring images; see `ensure_packages`."""
    _ensure(MEASURE_TOOLS, assume_yes=assume_yes)


def ensure_packages(
    names: Sequence[str],
    *,
    assume_yes: bool,
    minimum: Mapping[str, tuple[int, ...]] | None = None,
) -> None:
    """Install Debian packages with the user's consent; otherwise raise an error with the command.

    Args:
        names: Debian's package names.
        assume_yes: Whether the user has agreed, by `--yes` or by a command that is documented to
            install packages.
        minimum: Package name -> minimum version; older ones are not installed.

    Raises:
        DeployError: The packages cannot be installed, are too old, or the user has not agreed.
    """
    root = os.geteuid() == 0
    known = probe.distribution()
    needed = {name: least for name, least in (minimum or {}).items() if name in names}
    apt = process.find("apt-get") is not None
    if apt:
        _refuse_old_candidates(needed)
    if not (apt and assume_yes):
        message = f"missing on this host: {', '.join(names)}"
        hint = install_command(names, known, root=root)
        raise DeployError(message, hint=hint, code=ExitCode.UNAVAILABLE)
    prefix = [] if root else ["sudo"]
    env = {"DEBIAN_FRONTEND": "noninteractive"}
    with step(f"Installing {', '.join(names)}") as current:
        if process.run(_apt_install(prefix, ["--simulate", *names]), check=False).returncode != 0:
            # The package lists of a fresh container are empty.
            process.stream([*prefix, "apt-get", "update"], current, timeout_s=3600, env=env)
            _refuse_old_candidates(needed)
        process.stream(_apt_install(prefix, names), current, timeout_s=3600, env=env)


def parse_candidate(policy: str) -> tuple[int, ...] | None:
    """Return the candidate version in the output of `apt-cache policy NAME`, or None."""
    for line in policy.splitlines():
        name, _, version = line.strip().partition(": ")
        if name == "Candidate":
            # Skip the epoch, which is not part of the program's version.
            return probe.parse_version(version.rpartition(":")[2])
    return None


def install_command(names: Iterable[str], distribution: Sequence[str], *, root: bool) -> str:
    """Return the command that installs Debian packages, with translated names on Fedora."""
    sudo = [] if root else ["sudo"]
    if "debian" in distribution or "ubuntu" in distribution:
        return shlex.join([*sudo, "apt-get", "install", "--yes", *names])
    if "fedora" in distribution or "rhel" in distribution:
        translated = dict.fromkeys(_FEDORA.get(name, name) for name in names)
        return shlex.join([*sudo, "dnf", "install", "--assumeyes", *translated])
    return f"install this distribution's packages for Debian's {', '.join(names)}"


def _refuse_old_candidates(needed: Mapping[str, tuple[int, ...]]) -> None:
    """Raise a DeployError if apt would install a version that is too old."""
    for name, least in needed.items():
        candidate = parse_candidate(process.run(["apt-cache", "policy", name], check=False).stdout)
        if candidate is not None and candidate < least:
            raise DeployError(
                f"{name} {probe.dotted(least)} or newer is required, and this distribution has "
                f"{probe.dotted(candidate)}",
                hint="use Debian 13 or newer",
                code=ExitCode.UNAVAILABLE,
            )


def _ensure(
    needed: Mapping[str, str],
    *,
    assume_yes: bool,
    minimum: Mapping[str, tuple[int, ...]] | None = None,
) -> None:
    missing = {package for tool, package in needed.items() if process.find(tool) is None}
    if not probe.KEYRING[0].exists():
        missing.add(probe.KEYRING[1])
    if missing:
        ensure_packages(sorted(missing), assume_yes=assume_yes, minimum=minimum)


def _apt_install(prefix: Sequence[str], names: Sequence[str]) -> list[str]:
    return [*prefix, "apt-get", "install", "--yes", "--no-install-recommends", *names]
