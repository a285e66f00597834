"""Podman options of a unit, from its Quadlet keys and its raw arguments; no I/O."""

from __future__ import annotations

import dataclasses
import itertools
import re
from typing import TYPE_CHECKING

from deploy.units import values
from deploy.units.parser import Header, SourceLocation, split_words

if TYPE_CHECKING:
    from collections.abc import Iterator

    from deploy.units.parser import Assignment, Unit

CONTAINER = "Container"

RAW = ("PodmanArgs", "GlobalArgs")
"""Quadlet keys whose values are raw Podman options."""

# Quadlet key -> the option that it generates; {} is the value.
_KEYS = {
    "AddCapability": ("cap-add", "{}"),
    "AddDevice": ("device", "{}"),
    "AppArmor": ("security-opt", "apparmor={}"),
    "CgroupsMode": ("cgroups", "{}"),
    "EnvironmentFile": ("env-file", "{}"),
    "Mount": ("mount", "{}"),
    "Network": ("network", "{}"),
    "PublishPort": ("publish", "{}"),
    "SeccompProfile": ("security-opt", "seccomp={}"),
    "Secret": ("secret", "{}"),
    "SecurityLabelType": ("security-opt", "label=type:{}"),
    "Sysctl": ("sysctl", "{}"),
    "Ulimit": ("ulimit", "{}"),
    "Unmask": ("security-opt", "unmask={}"),
    "UserNS": ("userns", "{}"),
    "Volume": ("volume", "{}"),
}
_SWITCHES = {
    "EnvironmentHost": ("env-host", ""),
    "SecurityLabelDisable": ("security-opt", "label=disable"),
}
_ALIASES = {"P": "publish-all", "e": "env", "net": "network", "p": "publish", "v": "volume"}


@dataclasses.dataclass(frozen=True)
class OptionFault:
    """Fault in a line of a unit, with a suggested fix."""

    place: SourceLocation
    message: str
    fix: str


@dataclasses.dataclass(frozen=True)
class Option:
    """Option of `podman run`, with the assignment in the unit that generates it."""

    name: str
    value: str
    origin: Assignment

    def fault(self, message: str, fix: str) -> OptionFault:
        """Return a fault at the option's assignment."""
        return wrong(self.origin, message, fix)


def options(unit: Unit, *names: str) -> Iterator[Option]:
    """Yield the options of a unit with the given names, except those whose value is `false`."""
    for option in _all(unit):
        if option.name in names and option.value != "false":
            yield option


def wrong(assignment: Assignment, message: str, fix: str) -> OptionFault:
    """Return the fault of an assignment; the text of the assignment precedes the message."""
    return OptionFault(assignment.place, f"{assignment.key}={assignment.value} {message}", fix)


def missing(unit: Unit, section: str, key: str, example: str) -> OptionFault:
    """Return the fault of a missing key, located at the line that resets it or at its section."""
    place = SourceLocation(unit.file, 1)
    for line in reversed(unit.lines):
        if line.section == section and isinstance(line, Header):
            place = line.place
    for line in unit.lines:
        if not isinstance(line, Header) and (line.section, line.key) == (section, key):
            place = line.place
    return OptionFault(place, f"{key}= is not set", f"write {key}={example} in [{section}]")


def _all(unit: Unit) -> Iterator[Option]:
    for key, (name, form) in _KEYS.items():
        for assignment in unit.find_all(CONTAINER, key):
            for word in split_words(assignment):
                yield Option(name, form.format(word), assignment)
    for key, (name, value) in _SWITCHES.items():
        switch = unit.find(CONTAINER, key)
        if switch is not None and values.boolean(switch):
            yield Option(name, value, switch)
    for key in RAW:
        for assignment in unit.find_all(CONTAINER, key):
            yield from _arguments(assignment)


def _arguments(assignment: Assignment) -> Iterator[Option]:
    words = [*split_words(assignment), "-"]
    for word, following in itertools.pairwise(words):
        if not word.startswith("-"):
            continue
        name, equals, value = word.lstrip("-").partition("=")
        if not equals and not following.startswith("-"):
            value = following
        if name == "security-opt":
            # Podman also accepts `seccomp:unconfined`.
            value = re.sub(r"^([a-z-]+):", r"\1=", value)
        yield Option(_ALIASES.get(name, name), value, assignment)
