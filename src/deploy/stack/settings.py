"""Effective settings of the installed stack, each with its file and line.

The values are those of the files, which the next restart applies; options that differ in the
running backend are marked. Secrets are hidden: options named like a secret, passwords in URLs, and
variables that are neither an option nor known to be harmless.
"""

from __future__ import annotations

import contextlib
import dataclasses
import difflib
import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from deploy import paths, process
from deploy.errors import DeployError, ExitCode
from deploy.stack import definition
from deploy.stack.services import (
    BACKEND,
    MANAGEMENT,
    SOCKET,
    container_of,
    file_of,
    find_services,
    find_sockets,
    number_of,
)
from deploy.stack.status import PUBLISHED_MANAGEMENT, PUBLISHED_URL
from deploy.units.parser import split_words

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from deploy.units.parser import Assignment, Unit

DEFAULT = "default"
NOTHING = "none"

_PUBLISHED = {"public": PUBLISHED_URL, "management": PUBLISHED_MANAGEMENT}
_LIMITS = (
    "MemoryMax",
    "TasksMax",
    "CPUQuota",
    "TimeoutStartSec",
    "TimeoutStopSec",
    "Restart",
)
_CONTAINER = ("Image", "Network")
_TABLE = paths.REPO / "docs" / "configure.md"
"""Page with the table of options, generated from the service's settings."""
_PREFIX = "TODO_"
_ROW = re.compile(r"^\| `(TODO_\w+)` \| (.*?) \| ", re.MULTILINE)
_HIDDEN = "***"
_SECRET_NAME = re.compile(r"(?:PASSWORD|PASSPHRASE|SECRET|TOKEN|KEY|CREDENTIAL)S?$", re.IGNORECASE)
_HARMLESS = {
    "LANG",
    "LC_ALL",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    "OTEL_SDK_DISABLED",
    "OTEL_SERVICE_NAME",
    "OTEL_TRACES_EXPORTER",
    "OTEL_TRACES_SAMPLER",
    "OTEL_TRACES_SAMPLER_ARG",
    "SSL_CERT_DIR",
    "SSL_CERT_FILE",
    "TZ",
}
"""Variables of libraries whose values are shown: the documented ones, and a few more."""
_USER_INFO = re.compile(r"(://[^:/?#\s]*:)\S*@")
_PARAMETER = re.compile(r"(\w*(?:password|passphrase|passwd|secret|token)=)[^&\s]+", re.IGNORECASE)


@dataclasses.dataclass(frozen=True)
class Setting:
    """A setting with its source.

    Attributes:
        unit: Unit of the setting.
        name: Variable, or key of the unit.
        value: Value in the files; secrets are hidden.
        source: File and line, or "default".
        running: Different value in the running backend, if any.
        problem: Why the backend rejects the setting; None if it does not.
        published: Address on the host of a lab, if the lab publishes it.
    """

    unit: str
    name: str
    value: str
    source: str
    running: str | None = None
    problem: str | None = None
    published: str | None = None


@dataclasses.dataclass(frozen=True)
class Settings:
    """All settings of the stack.

    Attributes:
        options: Variables of the backend, the documented options first.
        addresses: Listen addresses of the socket units, the public address first.
        limits: Limits of each service in systemd, and properties of its container.
    """

    options: tuple[Setting, ...]
    addresses: tuple[Setting, ...]
    limits: tuple[Setting, ...]


def find() -> Settings:
    """Return the settings in the files of the installed units and in the running backend.

    Raises:
        DeployError: The units are not installed, or a file is malformed.
    """
    backend = definition.load(file_of(BACKEND))
    return Settings(
        options=tuple(render_options(read_defaults(), read_environment(backend), _running())),
        addresses=tuple(find_addresses([definition.load(unit) for unit in find_sockets()])),
        limits=tuple(_find_limits()),
    )


def read_defaults() -> dict[str, str]:
    """Return the documented options of the service with their defaults."""
    return dict(_ROW.findall(_TABLE.read_text(encoding="utf-8")))


def read_environment(unit: Unit) -> dict[str, tuple[str, str]]:
    """Return a container's variables in Podman's order: name -> value and source.

    Raises:
        DeployError: An environment file is unreadable.
    """
    found: dict[str, tuple[str, str]] = {}
    for assignment in unit.find_all("Container", "EnvironmentFile"):
        for line in _variables(assignment):
            name, _, value = line.partition("=")
            found[name.strip()] = (value, assignment.value)
    for assignment in unit.find_all("Container", "Environment"):
        for word in split_words(assignment):
            name, _, value = word.partition("=")
            plain = value.replace("$$", "$").replace("%%", "%")
            found[name] = (plain, str(assignment.place))
    return found


def render_options(
    defaults: Mapping[str, str],
    set_here: Mapping[str, tuple[str, str]],
    running: Mapping[str, str] | None,
) -> Iterator[Setting]:
    """Yield the options with their values, sources and problems.

    Args:
        defaults: Option -> default according to the documentation.
        set_here: Result of `read_environment`.
        running: Variables of the running backend; None if it is not running.
    """
    unknown = sorted(name for name in set_here if name not in defaults)
    for name in [*defaults, *unknown]:
        default = defaults.get(name, NOTHING).strip("`")
        value, source = set_here.get(name, ("", DEFAULT))
        effective = value or default
        now = None if running is None else running.get(name) or default
        yield Setting(
            BACKEND,
            name,
            show(name, effective, defaults),
            # An empty value means the default.
            source if value or source == DEFAULT else f"{DEFAULT} (empty in {source})",
            None if now in {None, effective} else show(name, now or "", defaults),
            None if name in defaults else _find_problem(name, defaults),
        )


def _find_problem(name: str, defaults: Iterable[str]) -> str | None:
    if not name.startswith(_PREFIX):
        return None
    near = difflib.get_close_matches(name, list(defaults), n=1)
    return f"not an option{f', did you mean {near[0]}?' if near else ''}"


def show(name: str, value: str, known: Collection[str]) -> str:
    """Return a variable's value for display; secrets and unknown variables are hidden."""
    return hide(name, value) if name in known or name in _HARMLESS else _hide_all(value)


def is_secret(name: str) -> bool:
    """Return whether a variable's name is typical of a secret."""
    return _SECRET_NAME.search(name) is not None


def hide(name: str, value: str) -> str:
    """Return the value of an option or of a unit's key for display, without secrets."""
    if value and value != NOTHING and is_secret(name):
        return _HIDDEN
    return _PARAMETER.sub(rf"\1{_HIDDEN}", _USER_INFO.sub(rf"\1{_HIDDEN}@", value))


def _hide_all(value: str) -> str:
    return _HIDDEN if value and value != NOTHING else value


def find_addresses(sockets: Iterable[Unit]) -> Iterator[Setting]:
    """Yield the addresses of the socket units.

    Args:
        sockets: Units, the public one first; a single one also has the management address.
    """
    units = list(sockets)
    for unit in units:
        for number, each in enumerate(unit.find_all("Socket", "ListenStream")):
            if unit.name != SOCKET:
                name = "further" if number else "management"
            else:
                second = "management" if len(units) == 1 else "further"
                name = ("public", second)[number] if number < 2 else "further"  # noqa: PLR2004
            # Only the addresses of the first instance are published from a lab.
            first = unit.name in {SOCKET, MANAGEMENT}
            published = os.environ.get(_PUBLISHED.get(name, "")) if first else None
            yield Setting(unit.name, name, each.value, str(each.place), published=published)


def _find_limits() -> Iterator[Setting]:
    """Yield the limits of every service; of additional instances only those that differ."""
    first: set[tuple[str, str]] = set()
    for service in find_services():
        for setting in _limits(service, definition.load(file_of(service))):
            if service == BACKEND:
                first.add((setting.name, setting.value))
            if number_of(service) < 2 or (setting.name, setting.value) not in first:  # noqa: PLR2004
                yield setting


def _limits(service: str, unit: Unit) -> Iterator[Setting]:
    for section, keys in (("Container", _CONTAINER), ("Service", _LIMITS)):
        for key in keys:
            # Networks accumulate; other keys replace earlier values.
            found = unit.find_all(section, key)
            counts = found if key == "Network" else found[-1:]
            if not counts:
                yield Setting(service, key, DEFAULT, DEFAULT)
            for each in counts:
                yield Setting(service, key, hide(key, each.value), str(each.place))


def _variables(assignment: Assignment) -> Iterable[str]:
    path = Path(assignment.value.replace("%h", str(Path.home())))
    if not path.is_absolute():
        path = Path(assignment.place.file).parent / path
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        message = f"{assignment.place}: cannot read {path}: {error}"
        raise DeployError(message, hint="make it readable", code=ExitCode.DATA) from None
    return [line for line in lines if "=" in line and not line.lstrip().startswith("#")]


def _running() -> dict[str, str] | None:
    inspect = ["podman", "container", "inspect", "--format={{json .Config.Env}}"]
    inspected = process.run([*inspect, container_of(BACKEND)], check=False)
    if inspected.returncode != 0:
        return None
    with contextlib.suppress(ValueError):
        pairs = [str(pair).partition("=") for pair in json.loads(inspected.stdout) or ()]
        return {key: value for key, _, value in pairs}
    return None
