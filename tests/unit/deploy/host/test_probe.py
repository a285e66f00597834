from __future__ import annotations

import dataclasses
import json
import re

import pytest

from deploy.host import doctor, probe

READY = probe.Host(
    distribution=("debian",),
    release="13",
    user="me",
    root=False,
    machines=True,
    user_manager="running",
    systemd=True,
    linger=True,
    podman=(5, 4, 2),
    tools=frozenset({*probe.STACK_TOOLS, *probe.LAB_TOOLS}),
    apt=True,
    keyring=True,
    venv=True,
    subordinate_ids=True,
    user_namespaces=True,
    controllers=frozenset({"cpu", "memory", "pids"}),
    selinux=False,
    free_bytes=50 * 1024**3,
    memory_bytes=8 * 1024**3,
    taken_ports=(),
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("podman version 5.4.2", (5, 4, 2)),
        ("podman version 5.0.0-dev", (5, 0, 0)),
        ("buildah version 1.39 (image-spec 1.1.0)", (1, 39, 0)),
        ("", None),
    ],
)
def test_versions_are_found_in_what_programs_say(
    text: str, expected: tuple[int, ...] | None
) -> None:
    assert expected == probe.parse_version(text)


def test_os_release_may_quote() -> None:
    text = 'NAME="Debian GNU/Linux"\n# a comment\nID=debian\nVERSION_ID="13"\n'
    expected = {"NAME": "Debian GNU/Linux", "ID": "debian", "VERSION_ID": "13"}
    assert expected == probe.parse_os_release(text)


def test_release_of_a_rolling_distribution_is_empty() -> None:
    assert probe.parse_release("25.04") == (25, 4)
    assert probe.parse_release("") == ()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("me:100000:65536\n", True),
        ("1000:100000:65536\n", True),
        ("other:100000:65536\n", False),
        ("me:100000:1000\n", False),
        ("", False),
    ],
)
def test_a_range_of_ids_must_be_the_users_and_large_enough(text: str, *, expected: bool) -> None:
    assert expected is probe.has_range(text, "me", 1000)


def test_a_modern_host_runs_the_stack_itself() -> None:
    assert probe.why_not_here(READY) is None
    assert doctor.diagnose(READY).usable


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"root": True, "user_manager": ""}, "root without a login session"),
        ({"root": True}, "this is root"),
        ({"user_manager": ""}, r"no user systemd session \(user me\)"),
        ({"podman": (4, 3, 1)}, r"Podman 4\.3\.1 is older than 5\.0"),
        ({"podman": None, "release": "12"}, "Debian 12 has a version older"),
        (
            {"podman": None, "distribution": ("ubuntu", "debian"), "release": "24.04"},
            "Ubuntu 24.04",
        ),
        ({"controllers": None}, "cgroup v1"),
        ({"user_namespaces": False}, "user namespaces are disabled"),
    ],
)
def test_what_keeps_the_stack_from_running_here(changes: dict[str, object], reason: str) -> None:
    why = probe.why_not_here(dataclasses.replace(READY, **changes))  # type: ignore[arg-type]
    assert why is not None
    assert re.search(reason, why)


def test_podman_that_can_be_installed_is_no_reason_to_go_elsewhere() -> None:
    bare = dataclasses.replace(READY, podman=None, tools=frozenset())
    assert probe.why_not_here(bare) is None
    assert {"podman", "buildah", "uidmap"} <= set(probe.missing_for_stack(bare))


def test_root_with_apt_can_always_have_a_lab() -> None:
    root = dataclasses.replace(READY, root=True, tools=frozenset())
    assert probe.why_no_lab(root) is None
    assert doctor.diagnose(root).usable
    assert probe.why_no_lab(dataclasses.replace(root, apt=False)) is not None


def test_nobody_but_root_can_have_a_lab() -> None:
    old = dataclasses.replace(READY, podman=(4, 3, 1))
    assert probe.why_no_lab(old) == "a lab needs root"
    assert not doctor.diagnose(old).usable
    assert "python3 build.py dev" in doctor.render_table(doctor.diagnose(old))
    assert "build.py dev" not in doctor.render_table(doctor.diagnose(READY))


def test_root_without_the_right_to_make_namespaces_can_have_no_lab() -> None:
    contained = dataclasses.replace(READY, root=True, machines=False)
    assert "an unprivileged container" in (probe.why_no_lab(contained) or "")


def test_table_gives_the_command_for_what_lacks() -> None:
    lacking = dataclasses.replace(READY, tools=READY.tools - {"buildah"}, subordinate_ids=False)
    table = doctor.render_table(doctor.diagnose(lacking))
    assert "sudo apt-get install --yes buildah" in table
    assert "sudo usermod --add-subuids 100000-165535 --add-subgids 100000-165535 me" in table
    assert "Not on this host: missing on this host: buildah." in table


def test_json_says_the_same_as_the_table() -> None:
    told = json.loads(doctor.render_json(doctor.diagnose(READY)))
    assert told["usable"] is True
    assert told["here"] is None
    assert {"name": "podman", "ok": True, "state": "5.4.2", "remedy": ""} in told["checks"]


@pytest.mark.parametrize(
    ("gib", "ok", "state"),
    [
        (8.0, True, "8 GiB, also for up --ai"),
        (1.5, True, "1.5 GiB, not enough for up --ai"),
        (0.5, False, "0.5 GiB"),
    ],
)
def test_the_memory_says_whether_a_local_model_fits(gib: float, ok: bool, state: str) -> None:  # noqa: FBT001
    host = dataclasses.replace(READY, memory_bytes=int(gib * 1024**3))
    (check,) = (one for one in doctor.diagnose(host).checks if one.name == "memory")
    assert (check.ok, check.state) == (ok, state)
