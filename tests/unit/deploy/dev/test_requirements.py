import tomllib
from pathlib import Path

import pytest

from deploy import paths
from deploy.bootstrap import venv
from deploy.dev import requirements

LOCK = """\
alpha==1.0 \\
    --hash=sha256:aa \\
    --hash=sha256:bb
beta[extra]==2.0 ; sys_platform == 'linux' \\
    --hash=sha256:cc
"""


def test_changes_are_told_by_name_and_version() -> None:
    before = {"gone": "1", "same": "1", "moved": "1"}
    after = {"same": "1", "moved": "2", "new": "3"}
    assert requirements.render_changes(before, after) == [
        "  - gone 1",
        "    moved 1 -> 2",
        "  + new 3",
    ]


def test_versions_are_read_whatever_the_marker() -> None:
    assert venv.versions(LOCK) == {"alpha": "1.0", "beta": "2.0"}


def test_a_package_without_a_hash_is_found() -> None:
    assert requirements.bare(LOCK) == []
    assert requirements.bare(LOCK + "gamma==3.0\n") == ["gamma"]


@pytest.mark.parametrize(
    ("requirement", "problem"),
    [
        ("Alpha>=1", None),
        ("alpha[x]>=1 ; python_version >= '3.11'", None),
        ("alpha>=2", "pins alpha 1.0, pyproject.toml wants >=2"),
        ("delta", "lacks delta"),
    ],
)
def test_a_pin_must_satisfy_its_requirement(requirement: str, problem: str | None) -> None:
    assert requirements.find_problem(requirement, venv.versions(LOCK)) == problem


def test_a_lock_is_resolved_with_hashes_without_addresses_and_after_those_it_agrees_with() -> None:
    dev = next(lock for lock in requirements.LOCKS if lock.agrees_with)
    argv = requirements.render_argv(dev, Path("/new"), "3.11")
    assert {"--generate-hashes", "--no-header", "--no-emit-index-url"} <= set(argv)
    assert "--constraint=/new/runtime.lock" in argv
    assert "--output-file=/new/dev.lock" in argv
    assert "--no-deps" not in argv
    names = [lock.name for lock in requirements.LOCKS]
    assert all(names.index(other) < names.index(dev.name) for other in dev.agrees_with)


def test_packages_that_are_only_read_come_without_what_they_need() -> None:
    attacks = next(lock for lock in requirements.LOCKS if not lock.with_dependencies)
    assert "--no-deps" in requirements.render_argv(attacks, Path("/new"), "3.11")
    pinned = venv.versions(paths.lock_file(attacks.name).read_text())
    assert set(pinned) == {"agentdojo", "bastioncorpus"}


def test_the_extra_and_its_lock_ask_for_the_same() -> None:
    project = tomllib.loads((paths.REPO / "pyproject.toml").read_text())
    extras, groups = project["project"]["optional-dependencies"], project["dependency-groups"]

    assert extras["otel"] == groups["otel"]


def test_the_set_of_dev_is_a_fraction_of_the_tests_and_part_of_it() -> None:
    served = venv.versions(paths.lock_file("serve").read_text())
    tests = venv.versions(paths.lock_file("dev").read_text())
    assert served.items() <= tests.items()
    assert len(served) < len(tests) / 2
    assert not {"pytest", "mypy", "ruff", "uv", "hypothesis", "psycopg-binary"} & served.keys()
