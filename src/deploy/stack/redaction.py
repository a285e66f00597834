"""Redaction of secrets in output that leaves this machine: by pattern, by name, and by value.

Each method finds secrets that the others miss: a token in a log, a variable named like a secret,
and a password that a program printed without its name.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import re
import urllib.parse
from typing import TYPE_CHECKING, Any

from deploy import process
from deploy.errors import DeployError
from deploy.stack import definition, install, settings
from deploy.stack.services import (
    container_of,
    file_of,
    find_possible_services,
    find_possible_sockets,
)
from deploy.units import keys
from deploy.units.parser import Assignment, SourceLocation, split_words

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

HIDDEN = "***"

_PATTERNS = (
    # A JSON Web Token, or its beginning.
    (re.compile(r"eyJ[\w-]{8,}(?:\.[\w-]*){0,2}"), HIDDEN),
    # The secret part of an API token; its ID is public.
    (re.compile(r"(todo_[0-9a-f]{32}_)[\w-]+"), rf"\1{HIDDEN}"),
    (re.compile(r"(?i)\b(bearer|basic)\s+[^\s\"',;]+"), rf"\1 {HIDDEN}"),
    # The password in a URL, which may itself contain an @.
    (re.compile(r"(\w://[^\s/:@\"]*):[^\s/\"]+@"), rf"\1:{HIDDEN}@"),
    (
        re.compile(
            r"(?i)((?:password|passphrase|passwd|pwd|secret|token|credentials?|api_?key)"
            r"[\"']?\s*[=:]\s*[\"']?)[^\s&\"',;\\]+"
        ),
        rf"\1{HIDDEN}",
    ),
)
_URL_PASSWORD = re.compile(r"://[^\s/:@]*:([^\s/]+)@")
_URL_PARAMETER = re.compile(
    r"[?&](?:password|passphrase|passwd|secret|token)=([^&\s]+)", re.IGNORECASE
)
# PostgreSQL's details of an error: rows and statements, on several lines.
_ROWS = re.compile(r"^(\[\d+\] \S+@\S+ (?:DETAIL|CONTEXT|STATEMENT|QUERY):).*|^\t.*", re.DOTALL)
# Secrets in unit files besides variables: in comments, Podman's options, credentials.
_ASSIGNED = re.compile(
    r"""(\w*(?:PASSWORD|PASSPHRASE|SECRET|TOKEN|KEY|CREDENTIAL)S?)=("[^"\n]*"|'[^'\n]*'|[^\s"',]+)""",
    re.IGNORECASE,
)
_PASSED = re.compile(r"(?:(?:--env[= ]|-e ?)[\w.]+=|^SetCredential=[^:\n]*:)(\S+)", re.MULTILINE)
_NAMED_SECRET = "Secret"  # noqa: S105 - the key, whose value is only a name
_FREE_KEYS = {"Description", "Entrypoint", "Exec", "ExecStopPost", "HealthCmd", "Label"}
_MORE_KEYS = {
    *("BindIPv6Only", "EnvironmentFile", "FreeBind", "OnCalendar", "Persistent", "PublishPort"),
    *("RandomizedDelaySec", "Sockets", "SocketMode"),
}
_PLAIN_KEYS = keys.find_names() - _FREE_KEYS | _MORE_KEYS
_MIN_NAMED_LENGTH = 4
_MIN_UNNAMED_LENGTH = 8
"""Minimum lengths of values that are removed everywhere: of variables named like a secret, and of
other hidden ones, whose values may be ordinary words.
"""


@dataclasses.dataclass(frozen=True)
class Redactor:
    """Redactor of secrets in texts.

    Args:
        values: Secrets of this machine, the longest first.
        known: Options of the service, whose values are shown unless they are secrets.
        shipped: Lines of this checkout's units, which are public.
    """

    values: tuple[str, ...]
    known: frozenset[str]
    shipped: frozenset[str]

    def clean(self, text: str) -> str:
        """Return a text with secrets redacted by pattern and by value."""
        for pattern, replacement in _PATTERNS:
            text = pattern.sub(replacement, text)
        return self.clean_values(text)

    def clean_values(self, text: str) -> str:
        """Return a text with the known secrets redacted."""
        for value in self.values:
            text = text.replace(value, HIDDEN)
        return text

    def clean_log(self, message: str) -> str:
        """Return a log message with secrets and database rows redacted."""
        return self.clean(_ROWS.sub(lambda found: f"{found[1] or ''} {HIDDEN}", message))

    def clean_json(self, value: Any) -> Any:  # noqa: ANN401 - any JSON value
        """Return a JSON value with its strings redacted, and the values of secret keys hidden."""
        if isinstance(value, str):
            return self.clean(value)
        if isinstance(value, dict):
            return {
                key: HIDDEN
                if isinstance(each, str) and settings.is_secret(key)
                else self.clean_json(each)
                for key, each in value.items()
            }
        if isinstance(value, list | tuple):
            return [self.clean_json(each) for each in value]
        return value

    def clean_unit(self, text: str) -> str:
        """Return a redacted unit file without its comments, which often contain old values."""
        joined = re.sub(r"\\\n(?:[ \t]*[#;][^\n]*\n)*", " ", text)
        lines = (line.strip() for line in joined.splitlines())
        shown = (self._clean_line(line) for line in lines if line and line[0] not in "#;")
        return "".join(f"{line}\n" for line in shown)

    def _clean_line(self, line: str) -> str:
        key, equals, value = line.partition("=")
        if not equals:
            return line if line.startswith("[") else HIDDEN
        if line in self.shipped:
            return line
        key, value = key.strip(), value.strip()
        if key == "Environment":
            return f"{key}={self._clean_variables(value)}"
        if key == _NAMED_SECRET:
            return f"{key}={self.clean_values(value)}"
        if key in _PLAIN_KEYS:
            return f"{key}={self.clean(value)}"
        # Command lines and unknown keys: only the names of their options.
        return f"{key}={' '.join(map(_option, value.split()))}"

    def _clean_variables(self, value: str) -> str:
        assignment = Assignment("Container", "Environment", value, SourceLocation("", 0))
        try:
            words = split_words(assignment)
        except DeployError:
            return HIDDEN
        shown = []
        for word in words:
            name, _, text = word.partition("=")
            shown.append(f"{name}={self.clean_values(settings.show(name, text, self.known))}")
        return " ".join(shown)


def find() -> Redactor:
    """Return a redactor for the secrets of this machine's stack."""
    known = frozenset(settings.read_defaults())
    units = install.shipped(ai=True, backup=True).values()
    shipped = {line.strip() for text in units for line in text.splitlines()}
    public = "\n".join(shipped)
    values = {
        *_find_podman_secrets(),
        *(value for text in _find_unit_texts() for value in find_written(text, public)),
        *(value for found in _find_variables() for value in find_values(found, known, public)),
    }
    return Redactor(
        tuple(sorted(filter(None, values), key=len, reverse=True)), known, frozenset(shipped)
    )


def find_values(
    variables: Mapping[str, str], known: Collection[str], public: str = ""
) -> Iterator[str]:
    """Yield the secrets in variables: hidden values that are not in `public`, and URL passwords."""
    for name, value in variables.items():
        passwords = _URL_PASSWORD.findall(value) + _URL_PARAMETER.findall(value)
        yield from (each for raw in passwords for each in {raw, urllib.parse.unquote(raw)})
        if settings.show(name, value, known) != HIDDEN:
            continue
        least = _MIN_NAMED_LENGTH if settings.is_secret(name) else _MIN_UNNAMED_LENGTH
        if len(value) >= least and value not in public:
            yield value


def find_written(text: str, public: str = "") -> Iterator[str]:
    """Yield the secrets assigned anywhere in a unit file, unless they appear in a public text."""
    assigned = (
        value.strip("\"'") for name, value in _ASSIGNED.findall(text) if name != _NAMED_SECRET
    )
    for value in [*assigned, *_PASSED.findall(text)]:
        if len(value) >= _MIN_UNNAMED_LENGTH and value not in public:
            yield value


def _option(word: str) -> str:
    name = word.partition("=")[0]
    if not word.startswith("-"):
        return HIDDEN
    return name if name == word else f"{name}={HIDDEN}"


def _find_unit_texts() -> Iterator[str]:
    names = (*find_possible_sockets(), *map(file_of, find_possible_services()))
    for name in names:
        for path in definition.find_files(name):
            with contextlib.suppress(OSError, UnicodeDecodeError):
                yield path.read_text(encoding="utf-8")


def _find_variables() -> Iterator[Mapping[str, str]]:
    """Yield the variables of the units, of running containers, and of this process."""
    for service in find_possible_services():
        named: dict[str, str] = {}
        with contextlib.suppress(DeployError):
            found = settings.read_environment(definition.load(file_of(service)))
            named = {name: value for name, (value, _) in found.items()}
        yield named
        inspect = ["podman", "container", "inspect", "--format={{json .Config.Env}}"]
        with contextlib.suppress(DeployError, ValueError):
            pairs = (
                json.loads(process.run([*inspect, container_of(service)], check=False).stdout) or ()
            )
            running = dict(str(pair).partition("=")[::2] for pair in pairs)
            # Most variables come from the image and Podman, such as PATH.
            yield {
                name: value
                for name, value in running.items()
                if name in named or settings.is_secret(name) or "://" in value
            }
    yield {name: value for name, value in os.environ.items() if settings.is_secret(name)}


def _find_podman_secrets() -> Iterator[str]:
    """Yield the values of the secrets that the units name."""
    names: set[str] = set()
    for service in find_possible_services():
        with contextlib.suppress(DeployError):
            unit = definition.load(file_of(service))
            found = unit.find_all("Container", _NAMED_SECRET)
            names |= {each.value.partition(",")[0] for each in found}
    for name in sorted(names):
        inspect = ["podman", "secret", "inspect", "--showsecret", "--format={{.SecretData}}", name]
        with contextlib.suppress(DeployError):
            value = process.run(inspect, check=False).stdout.strip()
            if len(value) >= _MIN_NAMED_LENGTH:
                yield value
                # A secret of several lines, such as a key, may be printed line by line.
                yield from (line for line in value.splitlines() if len(line) >= _MIN_UNNAMED_LENGTH)
