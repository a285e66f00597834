"""The effective settings of the installed stack, each with the file and line that it comes from.

They come from the files, which the next restart applies; an option with another value in the
running backend is marked. Secrets are hidden: the value of an option with the name of a secret,
a password in a URL, and every variable that is neither an option nor known to be harmless.
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
"""The table of options there is made from the service's own settings, and tests compare them."""
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
"""Variables of libraries whose values are shown: those that the documentation names, and a few."""
_USER_INFO = re.compile(r"(://[^:/?#\s]*:)\S*@")
_PARAMETER = re.compile(r"(\w*(?:password|passphrase|passwd|secret|token)=)[^&\s]+", re.IGNORECASE)


@dataclasses.dataclass(frozen=True)
class Setting:
    """One setting.

    Attributes:
        unit: Unit of the setting.
        name: Variable, or key of the unit.
        value: Value in the files; secrets are hidden.
        source: File and line, or "default".
        running: Different value in the running backend, if any.
        problem: Why the backend will not start with this value; None if it will.
        published: Address for the reader, if it differs from the one in `value`.
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
    """All settings.

    Attributes:
        options: Variables of the backend, the shipped options first.
        addresses: Listen addresses of the socket units, the public address first.
        limits: Limits of each service in systemd, and properties of its container.
    """

    options: tuple[Setting, ...]
    addresses: tuple[Setting, ...]
    limits: tuple[Setting, ...]


def find() -> Settings:
    """Read the files of the installed units, and the variables of the running backend.

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
    """Return every option of the service -> its default as the documentation writes it."""
    return dict(_ROW.findall(_TABLE.read_text(encoding="utf-8")))


def read_environment(unit: Unit) -> dict[str, tuple[str, str]]:
    """The variables of a container: name -> value and source, in the order in which Podman merges.

    Raises:
        DeployError: A file of variables cannot be read.
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
    """Yield the options with their values, sources, and how the running backend differs.

    Args:
        defaults: Option -> its default according to the documentation.
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
            # An empty value counts as not set.
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
    """Return the displayable form of a variable's value; unknown variables are hidden.

    Args:
        name: The variable.
        value: Value of the variable.
        known: Names of the service's options.
    """
    return hide(name, value) if name in known or name in _HARMLESS else _hide_all(value)


def is_secret(name: str) -> bool:
    """Return whether a name is that of a secret."""
    return _SECRET_NAME.search(name) is not None


def hide(name: str, value: str) -> str:
    """Return a value that can be shown, of an option or a unit's key."""
    if value and value != NOTHING and is_secret(name):
        return _HIDDEN
    return _PARAMETER.sub(rf"\1{_HIDDEN}", _USER_INFO.sub(rf"\1{_HIDDEN}@", value))


def _hide_all(value: str) -> str:
    """Any value of a variable that may be a secret, whatever its name says."""
    return _HIDDEN if value and value != NOTHING else value


def find_addresses(sockets: Iterable[Unit]) -> Iterator[Setting]:
    """Yield the addresses of the socket units, the public one first.

    Args:
        sockets: The public one first. By itself, it also has the management address.
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
    """Yield those of every service; of further instances only what differs from the first one."""
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
            # Networks add up, everything else is replaced.
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
