"""Programs that the tests alone use: where they are, and how to get them."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from deploy import host, tools
from deploy.errors import DeployError, ExitCode
from deploy.paths import cache_dir
from deploy.progress import step

if TYPE_CHECKING:
    from collections.abc import Iterator

_CLUSTER_DEFAULTS = Path("/etc/postgresql-common/createcluster.d")
# A shell of Chromium without windows is a third of it; any other that is there will do.
_BROWSERS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")


def ensure_programs() -> None:
    """Install what is missing; asks for nothing that is already there.

    Raises:
        DeployError: A program cannot be installed from here; the hint says how to get it.
    """
    packages = [] if find_initdb() else ["postgresql"]
    packages += [] if find_browser() else [_BROWSERS[0]]
    if packages:
        with _no_default_cluster():
            host.ensure_packages(packages, assume_yes=os.geteuid() == 0)
    if find_promtool() is None:
        _fetch_promtool(_own_promtool())


def find_initdb() -> Path | None:
    """PostgreSQL's initdb; Debian keeps it off PATH, one folder a major version."""
    found = tools.find("initdb")
    if found:
        return Path(found)
    packaged = Path("/usr/lib/postgresql").glob("*/bin/initdb")
    return max(packaged, key=lambda path: int(path.parts[-3]), default=None)


def find_browser() -> Path | None:
    """A Chromium."""
    found = (tools.find(name) for name in _BROWSERS)
    return next((Path(path) for path in found if path), None)


def find_promtool() -> Path | None:
    """Prometheus' checker of rules."""
    found = tools.find("promtool")
    if found:
        return Path(found)
    return _own_promtool() if _own_promtool().exists() else None


def _own_promtool() -> Path:
    return cache_dir() / "promtool"


def _fetch_promtool(target: Path) -> None:
    """Take the one program out of Debian's package.

    Installed, the package would run a server on this machine, and bring that server's pages.
    """
    if tools.find("apt-get") is None or tools.find("dpkg-deb") is None:
        raise DeployError(
            "missing on this host: promtool",
            hint="install Prometheus, or put its promtool on PATH",
            code=ExitCode.UNAVAILABLE,
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    with (
        step("Fetching promtool") as current,
        tempfile.TemporaryDirectory(prefix="promtool-", dir=target.parent) as scratch,
    ):
        download = ["apt-get", "download", "prometheus"]
        if tools.run(download, cwd=Path(scratch), check=False, timeout_s=300).returncode != 0:
            # The lists of a fresh container are empty.
            prefix = [] if os.geteuid() == 0 else ["sudo", "--non-interactive"]
            tools.stream([*prefix, "apt-get", "update"], current, timeout_s=300)
            tools.stream(download, current, timeout_s=300, cwd=Path(scratch))
        (package,) = Path(scratch).glob("*.deb")
        tools.run(["dpkg-deb", "--extract", str(package), scratch], timeout_s=120)
        Path(scratch, "usr/bin/promtool").replace(target)


@contextlib.contextmanager
def _no_default_cluster() -> Iterator[None]:
    """Keep Debian's package from making and starting a server of its own: tests bring theirs."""
    if os.geteuid() != 0:
        yield
        return
    made = not _CLUSTER_DEFAULTS.exists()
    _CLUSTER_DEFAULTS.mkdir(parents=True, exist_ok=True)
    setting = _CLUSTER_DEFAULTS / "todo-backend-tests.conf"
    setting.write_text("create_main_cluster = false\n")
    try:
        yield
    finally:
        setting.unlink(missing_ok=True)
        if made:
            with contextlib.suppress(OSError):  # the package put something there
                _CLUSTER_DEFAULTS.rmdir()
