"""Diagnostics archive for a bug report, without secrets."""

from __future__ import annotations

import dataclasses
import functools
import gzip
import hashlib
import io
import json
import os
import platform
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deploy import paths, process
from deploy.errors import DeployError, ExitCode
from deploy.host import doctor, probe
from deploy.stack import (
    definition,
    disks,
    install,
    log_line,
    logs,
    overview,
    redaction,
    settings,
    update_state,
)
from deploy.stack.services import (
    BACKUP_TIMER,
    DRILL_TIMER,
    UPDATE,
    UPDATE_TIMER,
    file_of,
    find_possible_services,
    find_possible_sockets,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from deploy.progress import Step
    from deploy.stack.redaction import Redactor

DEFAULT_LINES = 1000
MANIFEST = "MANIFEST.txt"

_TIMEOUT_S = 120.0
_PROGRAMS = {
    "podman": ("--version",),
    "buildah": ("--version",),
    "crun": ("--version",),
    "conmon": ("--version",),
    "netavark": ("--version",),
    "pasta": ("--version",),
    "systemctl": ("--version",),
    "git": ("--version",),
}
_COMMANDS = {
    "systemd.txt": (
        "units and timers of the stack, and the user's failed units",
        ("systemctl", "--user", "list-units", "--all", "--full", "todo-*"),
        ("systemctl", "--user", "list-timers", "--all", "--full", "todo-*"),
        ("systemctl", "--user", "--failed", "--full"),
        ("journalctl", "--user", "--disk-usage"),
    ),
    "containers.txt": (
        "containers, images, volumes and names of secrets of the stack",
        ("podman", "ps", "--all", "--no-trunc", "--filter=name=^todo-"),
        ("podman", "images", "--digests", "--no-trunc", "--filter=reference=localhost/todo-*"),
        ("podman", "volume", "ls", "--filter=name=^todo-"),
        ("podman", "secret", "ls", "--filter=name=^todo-"),
    ),
}
_TITLE = "Content of this archive, with the SHA-256 of each file."
_LOOK = """\
Secrets were removed: passwords, keys, tokens, and every variable that is not known to be harmless.
Names of users, hosts and folders were not. The log holds no text of tasks, but IDs of users and
addresses of clients. Look through the files before you send them."""


@dataclasses.dataclass(frozen=True)
class Entry:
    """A file of the archive: its path, its description for the manifest, and its text."""

    name: str
    what: str
    content: str


def default_name(at: datetime) -> str:
    """Return the file name of an archive made at this time."""
    return f"todo-backend-diagnose-{at:%Y%m%d-%H%M%S}.tar.gz"


def collect(lines: int, step: Step) -> list[Entry]:
    """Collect all files of the archive, with up to `lines` log lines of each unit.

    A file that cannot be collected contains the reason instead.
    """
    step.note("secrets, to remove them")
    redactor = redaction.find()
    found = []
    for name, what, find in _parts(lines, redactor):
        step.note(name)
        try:
            content = find()
        except DeployError as error:
            content = f"unknown: {redactor.clean(error.message)}\n"
        except (OSError, ValueError, LookupError) as error:
            content = f"unknown: {type(error).__name__}: {redactor.clean(str(error))}\n"
        # A second pass is needed, because file names can contain secrets as well.
        found.append(Entry(redactor.clean_values(name), what, redactor.clean_values(content)))
    return found


def pack(folder: str, entries: list[Entry], at: datetime) -> bytes:
    """Return the entries and a manifest as a gzipped tar archive with a single top-level folder."""
    manifest = Entry(MANIFEST, "this list", render_manifest(entries, at))
    buffer = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=buffer, mode="wb", mtime=int(at.timestamp())) as packed,
        tarfile.open(fileobj=packed, mode="w") as archive,
    ):
        for entry in (manifest, *entries):
            content = entry.content.encode()
            member = tarfile.TarInfo(f"{folder}/{entry.name}")
            member.size, member.mode, member.mtime = len(content), 0o600, int(at.timestamp())
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def render_manifest(entries: list[Entry], at: datetime) -> str:
    """Render the manifest: size, SHA-256 and description of each file, and what was redacted."""
    width = max(len(entry.name) for entry in entries)
    rows = []
    for entry in entries:
        content = entry.content.encode()
        digest = hashlib.sha256(content).hexdigest()
        rows.append(f"{entry.name:<{width}}  {len(content):>9}  {digest}  {entry.what}")
    header = f"Made by build.py diagnose at {at.isoformat(timespec='seconds')}. {_TITLE}"
    return "\n".join([header, "", *rows, "", _LOOK, ""])


def read_contents(archive: bytes) -> list[tuple[str, int]]:
    """Return the names and sizes in bytes of the files in an archive.

    Raises:
        DeployError: The archive is damaged.
    """
    try:
        with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as opened:
            members = [member for member in opened.getmembers() if member.isfile()]
    except (tarfile.TarError, OSError) as error:
        message = f"the archive is damaged: {error}"
        raise DeployError(message, code=ExitCode.DATA) from None
    return [(member.name.partition("/")[2], member.size) for member in members]


def _parts(lines: int, redactor: Redactor) -> Iterator[tuple[str, str, Callable[[], str]]]:
    """Yield each file's name, its description, and the function that collects it."""

    def as_json(found: Any) -> str:  # noqa: ANN401 - any JSON value
        return f"{json.dumps(redactor.clean_json(found), indent=1)}\n"

    yield (
        "status.json",
        "output of build.py status --json",
        lambda: as_json(overview.to_json_dict(overview.find())),
    )
    yield (
        "config.json",
        "output of build.py config --json",
        lambda: as_json(dataclasses.asdict(settings.find())),
    )
    yield "versions.json", "versions of programs, kernel and system", lambda: as_json(_versions())
    yield "doctor.txt", "output of build.py doctor", lambda: redactor.clean(_doctor())
    yield "disks.json", "free space on the disks", lambda: as_json(_disks())
    yield "podman-info.json", "output of podman info", lambda: as_json(_podman_info())
    for name, (what, *commands) in _COMMANDS.items():
        yield name, what, functools.partial(_outputs, commands, redactor)
    for path in _find_unit_files():
        yield (
            f"units/{str(path).lstrip('/')}",
            "a unit or drop-in without comments",
            functools.partial(_unit, path, redactor),
        )
    for name in update_state.FILES:
        path = update_state.find_file(name)
        if path.exists():
            what = "state files of updates"
            yield f"update/{name}", what, functools.partial(_record, path, redactor)
    for unit in logs.UNITS:
        yield (
            f"logs/{unit}.jsonl",
            f"the last {lines} lines of the log",
            functools.partial(_log, unit, lines, redactor),
        )


def _record(path: Path, redactor: Redactor) -> str:
    found = json.loads(path.read_text(encoding="utf-8"))
    return f"{json.dumps(redactor.clean_json(found), indent=1)}\n"


def _versions() -> dict[str, Any]:
    found: dict[str, Any] = {
        "build.py": _project_version(),
        "kernel": platform.release(),
        "machine": platform.machine(),
        "os": {key: value for key, value in _os_release().items() if "URL" not in key},
        "python": platform.python_version(),
        "cpus": os.cpu_count(),
        "memory_bytes": probe.total_memory(),
    }
    for program, arguments in _PROGRAMS.items():
        if process.find(program) is None:
            found[program] = None
            continue
        shown = process.run([program, *arguments], check=False, timeout_s=_TIMEOUT_S)
        found[program] = f"{shown.stdout}{shown.stderr}".strip().partition("\n")[0]
    return found


def _project_version() -> str:
    git = ["git", "-C", str(paths.REPO), "-c", f"safe.directory={paths.REPO}"]
    try:
        shown = process.run([*git, "describe", "--always", "--dirty"], check=False).stdout
    except DeployError:
        return "unknown"
    return shown.strip() or "unknown"


def _os_release() -> dict[str, str]:
    return probe.parse_os_release(Path("/etc/os-release").read_text(encoding="utf-8"))


def _doctor() -> str:
    return f"{doctor.render_table(doctor.diagnose(probe.probe()))}\n"


def _disks() -> list[dict[str, Any]]:
    found = [("home", Path.home()), ("state", paths.state_dir()), ("cache", paths.cache_dir())]
    measured = [disks.measure(name, str(path)) for name, path in found if path.exists()]
    if process.find("podman"):
        measured += disks.find()
    return [dataclasses.asdict(each) for each in measured]


def _podman_info() -> Any:  # noqa: ANN401 - any JSON value
    shown = process.run(["podman", "info", "--format=json"], timeout_s=_TIMEOUT_S)
    return json.loads(shown.stdout)


def _unit(path: Path, redactor: Redactor) -> str:
    return redactor.clean_unit(path.read_text(encoding="utf-8"))


def _outputs(commands: list[tuple[str, ...]], redactor: Redactor) -> str:
    """Return the redacted output of commands, each below its command line."""
    texts = []
    for command in commands:
        try:
            done = process.run(command, check=False, timeout_s=_TIMEOUT_S)
            text = f"{done.stdout}{done.stderr}"
        except DeployError as error:
            text = f"{error.message}\n"
        texts.append(f"$ {' '.join(command)}\n{text}")
    return redactor.clean("\n".join(texts))


def _find_unit_files() -> list[Path]:
    """Return the stack's unit files and drop-ins that systemd and Quadlet read."""
    services = map(file_of, find_possible_services())
    timers = (BACKUP_TIMER, DRILL_TIMER, UPDATE_TIMER)
    names = (*find_possible_sockets(), *timers, UPDATE, *services)
    found = [path for name in names for path in definition.find_files(name)]
    shipped = install.shipped(ai=True, instances=True)
    volumes = [install.destination(name) for name in shipped if "volume" in name]
    return [*dict.fromkeys(found), *(path for path in volumes if path.is_file())]


def _log(unit: str, lines: int, redactor: Redactor) -> str:
    query = logs.Query(units=(unit,), lines=lines)
    shown = []
    for line in logs.read(query):
        event = redactor.clean_json(line.as_dict())
        event["message"] = redactor.clean_log(line.message)
        shown.append(f"{log_line.render_json(event)}\n")
    return "".join(shown)
