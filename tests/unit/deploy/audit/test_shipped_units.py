"""The audit of the shipped units: they pass, and each of their hardening lines is missed."""

import re
from collections.abc import Iterator

import pytest

from deploy.audit import rules as audit_rules
from deploy.audit.rules import UnitFinding
from deploy.paths import QUADLET
from deploy.units.loader import load_units, load_variants
from deploy.units.parser import parse_unit

# What hardens a unit, each with the rule that misses it; a socket's addresses cannot be left out.
HARDENING = {
    "DropCapability": "CIS-5.4",
    "MemoryMax": "CIS-5.11",
    "CPUQuota": "CIS-5.12",
    "ReadOnly": "CIS-5.13",
    "ReadOnlyTmpfs": "CIS-5.13",
    "Restart": "CIS-5.15",
    "StartLimitBurst": "CIS-5.15",
    "StartLimitIntervalSec": "CIS-5.15",
    "NoNewPrivileges": "CIS-5.26",
    "HealthCmd": "CIS-5.27",
    "HealthOnFailure": "CIS-5.27",
    "Pull": "CIS-5.28",
    "TasksMax": "CIS-5.29",
    "Network": "CIS-5.30",
    "User": "PSS-NON-ROOT",
    "Group": "PSS-NON-ROOT",
    "MemorySwapMax": "OWN-SWAP",
    "OOMScoreAdjust": "OWN-OOM",
    "Mask": "OWN-MQUEUE",
    "TimeoutStartSec": "OWN-START",
}
# What says how it works; without it, nothing is less safe.
WORKING = {
    "After", "Backlog", "ContainerName", "DefaultDependencies", "Description", "Entrypoint",
    "Environment", "Exec", "ExecStopPost", "FileDescriptorName", "GroupAdd", "HealthInterval",
    "HealthRetries", "HealthTimeout", "Image", "ListenStream",
    "LogDriver", "NoDelay", "Notify", "PidsLimit", "RemainAfterExit", "Requires",
    "RestartPreventExitStatus", "RestartSec", "Secret", "Service", "Sockets", "StopSignal",
    "StopTimeout", "TimeoutStopSec", "Tmpfs", "Type", "Ulimit", "Volume", "VolumeName", "WantedBy",
    "Wants",
}  # fmt: skip

FLAGS = ("nosuid", "nodev", "noexec")
SHIPPED = load_units(ai=True)
LINES = [
    pytest.param(unit.name, line.key, line.place.line, id=f"{unit.name}:{line.key}")
    for unit in SHIPPED
    for line in unit.assignments
    if line.key in HARDENING
]


def audit_text(name: str, text: str) -> list[UnitFinding]:
    return audit_rules.audit([parse_unit(f"quadlet/{name}", text)])


def test_the_projects_own_units_are_clean() -> None:
    assert audit_rules.audit(SHIPPED) == []


def test_a_drop_in_is_held_against_the_rules_as_well() -> None:
    found = audit_rules.audit_variants(SHIPPED, load_variants())
    network = ("OWN-NETWORK", "Network=pasta is reachable from other machines")
    expected = {
        "30-instances": ("CIS-5.15", "StartLimitIntervalSec=0 is no limit"),
        "50-network": network,
        "60-ai-endpoint": network,
    }
    assert [(each.rule, each.file, each.message) for each in found] == [
        (rule, f"quadlet/dropins/todo-backend.container.d/{name}.conf", message)
        for name, (rule, message) in expected.items()
    ]


def test_every_key_of_the_units_is_known_to_harden_or_not_to() -> None:
    keys = {line.key for unit in SHIPPED for line in unit.assignments}
    assert keys == HARDENING.keys() | WORKING
    assert not HARDENING.keys() & WORKING


@pytest.mark.parametrize(("name", "key", "number"), LINES)
def test_a_unit_without_one_of_its_hardening_lines_is_caught(
    name: str, key: str, number: int
) -> None:
    lines = (QUADLET / name).read_text().splitlines(keepends=True)
    assert lines[number - 1].startswith(f"{key}=")
    del lines[number - 1]
    found = audit_text(name, "".join(lines))
    assert [each.rule for each in found] == [HARDENING[key]]
    assert found[0].message == f"{key}= is not set"
    assert found[0].fix.startswith(f"write {key}=")
    assert re.fullmatch(r"\[\w+]\n", lines[found[0].line - 1])


def words_of_the_shipped_units() -> Iterator[tuple[str, int, str, str]]:
    """Unit, line, a hardening word in it, and the rule that misses that word."""
    words = {
        "Tmpfs": [("size=", "OWN-TMPFS"), *((f",{f}", "OWN-TMPFS") for f in FLAGS)],
        "Volume": [(":ro", "OWN-MOUNTS"), (":U", "OWN-MOUNTS")],
        "Secret": [(",mode=0400", "OWN-SECRETS")],
        "ListenStream": [("127.0.0.1:", "CIS-5.14")],
        "Image": [("localhost/", "CIS-5.28")],
    }
    for unit in SHIPPED:
        # Those of its own file; a drop-in's are merged behind them.
        for line in (one for one in unit.assignments if one.place.file == unit.file):
            for word, rule in words.get(line.key, []):
                if word in line.value:
                    yield unit.name, line.place.line, word, rule


@pytest.mark.parametrize(("name", "number", "word", "rule"), list(words_of_the_shipped_units()))
def test_a_unit_without_one_of_its_hardening_words_is_caught(
    name: str, number: int, word: str, rule: str
) -> None:
    lines = (QUADLET / name).read_text().splitlines(keepends=True)
    lines[number - 1] = lines[number - 1].replace(word, "")
    found = audit_text(name, "".join(lines))
    assert [(each.line, each.rule) for each in found] == [(number, rule)]
