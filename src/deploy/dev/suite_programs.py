"""Programs that only the tests use: their paths and their installation."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from deploy import process
from deploy.errors import DeployError, ExitCode
from deploy.host import packages as host_packages
from deploy.paths import REPO, cache_dir
from deploy.progress import step

if TYPE_CHECKING:
    from collections.abc import Iterator

_CLUSTER_DEFAULTS = Path("/etc/postgresql-common/createcluster.d")
_NPM_LOCKS = {
    "openapi": REPO / "tests" / "integration" / "api" / "openapi",
    "mcp": REPO / "tests" / "integration" / "mcp" / "npm",
    "web": REPO / "tests" / "integration" / "web" / "npm",
}
"""Folders with the package-lock.json of the npm programs for OpenAPI, MCP and the web page."""
_NPM_TIMEOUT_S = 3600.0
SHELLS = ("zsh", "fish")
"""Shells whose completion is tested, in addition to bash."""
MONITORING = {
    "prometheus": "prometheus",
    "promtool": "prometheus",
    "prometheus-alertmanager": "prometheus-alertmanager",
    "amtool": "prometheus-alertmanager",
    "prometheus-node-exporter": "prometheus-node-exporter",
}
"""Program -> Debian package, for the tests of docs/monitoring.

A fetched program requires its own folder as the working folder.
"""
_ALERTMANAGER_FILES = b"/usr/share/prometheus/alertmanager"
# The headless shell is a third the size of Chromium; any installed browser is accepted.
_BROWSERS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")


def ensure_programs() -> None:
    """Install the missing programs; raise a DeployError with a remedy if that is impossible."""
    packages = [] if find_initdb() else ["postgresql"]
    packages += [] if find_browser() else [_BROWSERS[0]]
    packages += [] if find_curl() else ["curl"]
    packages += [] if find_node() else ["nodejs"]
    packages += [] if find_npm() else ["npm"]
    if packages:
        with _no_default_cluster():
            host_packages.ensure_packages(packages, assume_yes=os.geteuid() == 0)
    if find_pgbouncer() is None:
        _fetch_with_libraries("pgbouncer", "usr/sbin/pgbouncer", _own_pgbouncer())
    if find_nginx() is None:
        _fetch_with_libraries("nginx", "usr/sbin/nginx", _own_nginx())
    if find_caddy() is None:
        _fetch_with_libraries("caddy", "usr/bin/caddy", _own_caddy())
    tools = {"openapi": find_openapi_tools, "mcp": find_mcp_tools, "web": find_web_tools}
    for name, find in tools.items():
        if find() is None:
            _fetch_npm_tools(name)
    for names, find_one, fetch in (
        (MONITORING, find_monitoring, _fetch_monitoring),
        (SHELLS, find_shell, _fetch_shell),
    ):
        for name in names:
            if find_one(name) is None:
                fetch(name)


def find_initdb() -> Path | None:
    """Return PostgreSQL's newest initdb or None; Debian does not install it on PATH."""
    found = process.find("initdb")
    if found:
        return Path(found)
    packaged = Path("/usr/lib/postgresql").glob("*/bin/initdb")
    return max(packaged, key=lambda path: int(path.parts[-3]), default=None)


def find_browser() -> Path | None:
    """Return a Chromium, or None."""
    found = (process.find(name) for name in _BROWSERS)
    return next((Path(path) for path in found if path), None)


def find_curl() -> Path | None:
    """Return curl, which the guides use, or None."""
    found = process.find("curl")
    return Path(found) if found else None


def find_node() -> Path | None:
    """Return Node, which runs the npm programs, or None."""
    found = process.find("node")
    return Path(found) if found else None


def find_npm() -> Path | None:
    """Return npm, or None."""
    found = process.find("npm")
    return Path(found) if found else None


def find_openapi_tools() -> Path | None:
    """Return the folder of the programs that check the OpenAPI document, or None."""
    return _find_npm_tools("openapi")


def find_mcp_tools() -> Path | None:
    """Return the folder of the programs that check the MCP endpoint, or None."""
    return _find_npm_tools("mcp")


def find_web_tools() -> Path | None:
    """Return the folder of the script that checks the page's accessibility, or None."""
    return _find_npm_tools("web")


def _find_npm_tools(name: str) -> Path | None:
    own = _own_npm_tools(name)
    return own if own.exists() else None


def find_monitoring(name: str) -> Path | None:
    """Return a program of MONITORING, or None."""
    return _find(name, _own_monitoring(name))


def find_pgbouncer() -> Path | None:
    """Return PgBouncer or None; a fetched one has its libraries in the same folder."""
    return _find("pgbouncer", _own_pgbouncer())


def find_nginx() -> Path | None:
    """Return nginx or None; a fetched one has its libraries in the same folder."""
    return _find("nginx", _own_nginx())


def find_caddy() -> Path | None:
    """Return Caddy, or None."""
    return _find("caddy", _own_caddy())


def find_shell(name: str) -> Path | None:
    """Return a shell of SHELLS, which needs the variables of `shell_environment`, or None."""
    return _find(name, _own_shell(name) / "bin" / name)


def shell_environment(shell: Path) -> dict[str, str]:
    """Return the variables that a fetched shell needs; empty for an installed one."""
    folder = shell.parents[1]
    if not folder.is_relative_to(cache_dir()):
        return {}
    patterns = {
        "LD_LIBRARY_PATH": "lib/*-linux-*",
        # The tests' start-up file copies these two to zsh's own variables.
        "ZSH_MODULES": "lib/*/zsh/*",
        "ZSH_FUNCTIONS": "share/zsh/functions/**/",
    }
    return {name: ":".join(map(str, folder.glob(pattern))) for name, pattern in patterns.items()}


def _find(name: str, own: Path) -> Path | None:
    """Return a program of this host, or the fetched one, or None."""
    found = process.find(name)
    if found:
        return Path(found)
    return own if own.exists() else None


def _own_shell(name: str) -> Path:
    return cache_dir() / "shells" / name


def _own_monitoring(name: str) -> Path:
    return cache_dir() / "monitoring" / name


def _own_pgbouncer() -> Path:
    return cache_dir() / "pgbouncer" / "pgbouncer"


def _own_nginx() -> Path:
    return cache_dir() / "nginx" / "nginx"


def _own_caddy() -> Path:
    return cache_dir() / "caddy" / "caddy"


def _own_npm_tools(name: str) -> Path:
    digest = hashlib.sha256((_NPM_LOCKS[name] / "package-lock.json").read_bytes()).hexdigest()
    return cache_dir() / f"{name}-{digest[:16]}"


def _fetch_npm_tools(name: str) -> None:
    target = _own_npm_tools(name)
    target.parent.mkdir(parents=True, exist_ok=True)
    with (
        step(f"Fetching the npm programs for the tests of {name}") as current,
        tempfile.TemporaryDirectory(prefix=f"{name}-", dir=target.parent) as scratch,
    ):
        folder = Path(scratch) / "tools"
        shutil.copytree(_NPM_LOCKS[name], folder)
        # npm verifies the hashes in the lock, and runs no scripts of the packages.
        argv = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
        process.stream(argv, current, timeout_s=_NPM_TIMEOUT_S, cwd=folder)
        folder.replace(target)


def _fetch_monitoring(name: str) -> None:
    package = MONITORING[name]
    with _fetching(package, _own_monitoring(name)) as (scratch, _depends):
        for template in scratch.glob(f"{_ALERTMANAGER_FILES.decode()[1:]}/*.tmpl"):
            template.replace(_own_monitoring(template.name))
        # Keep all programs of the package, so that it is fetched only once.
        for program in (each for each, source in MONITORING.items() if source == package):
            path = scratch / "usr/bin" / program
            if not path.exists():
                # In Debian 13, promtool has its own package.
                _extract(program, scratch)
            # Debian's build contains the absolute path of its templates.
            here = b".".ljust(len(_ALERTMANAGER_FILES), b"/")
            path.write_bytes(path.read_bytes().replace(_ALERTMANAGER_FILES, here))
            path.replace(_own_monitoring(program))


def _fetch_with_libraries(package: str, program: str, target: Path) -> None:
    with _fetching(package, target) as (scratch, depends):
        _extract_libraries(depends, scratch)
        for library in scratch.glob("usr/lib/*/lib*.so.*"):
            library.replace(target.parent / library.name)
        # Move the program last, because its existence means that the libraries exist.
        (scratch / program).replace(target)


def _fetch_shell(name: str) -> None:
    target = _own_shell(name)
    with _fetching(name, target) as (scratch, depends):
        _extract(f"{name}-common", scratch)
        _extract_libraries(depends, scratch)
        # fish looks for both relative to its program; older packages use /bin instead of /usr/bin.
        for folder in ("etc", "bin"):
            for path in (scratch / folder).glob("*"):
                (scratch / "usr" / folder).mkdir(exist_ok=True)
                path.replace(scratch / "usr" / folder / path.name)
        (scratch / "usr").replace(target)


def _extract_libraries(depends: str, folder: Path) -> None:
    for name in re.findall(r"(?:^|[,|] *)(lib[\w.+-]+)", depends):
        if not _is_installed(name):
            _extract(name, folder)


@contextlib.contextmanager
def _fetching(package: str, target: Path) -> Iterator[tuple[Path, str]]:
    """Extract a Debian package for one program; yield the folder and the package's dependencies.

    An installed package would run a server on this machine.
    """
    if process.find("apt-get") is None or process.find("dpkg-deb") is None:
        raise DeployError(
            f"missing on this host: {target.name}",
            hint=f"install {package.title()}, or put its {target.name} on PATH",
            code=ExitCode.UNAVAILABLE,
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    with (
        step(f"Fetching {target.name}") as current,
        tempfile.TemporaryDirectory(prefix=f"{package}-", dir=target.parent) as scratch,
    ):
        try:
            depends = _extract(package, Path(scratch))
        except process.ToolError:
            # The package lists of a fresh container are empty.
            prefix = [] if os.geteuid() == 0 else ["sudo", "--non-interactive"]
            process.stream([*prefix, "apt-get", "update"], current, timeout_s=300)
            depends = _extract(package, Path(scratch))
        yield Path(scratch), depends


def _extract(package: str, folder: Path) -> str:
    """Extract the files of a package; return its dependencies."""
    process.run(["apt-get", "download", package], cwd=folder, timeout_s=300)
    (file,) = map(str, folder.glob(f"{package}_*.deb"))
    process.run(["dpkg-deb", "--extract", file, str(folder)], timeout_s=120)
    return process.run(["dpkg-deb", "--field", file, "Depends"]).stdout


def _is_installed(package: str) -> bool:
    query = ["dpkg-query", "--show", "--showformat", "${db:Status-Status} ", package]
    return "installed" in process.run(query, check=False).stdout.split()


@contextlib.contextmanager
def _no_default_cluster() -> Iterator[None]:
    """Prevent Debian's package from creating and starting a cluster; tests use their own."""
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
