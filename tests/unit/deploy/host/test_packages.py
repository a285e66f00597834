from __future__ import annotations

import os
from pathlib import Path

import pytest

from deploy import process
from deploy.errors import DeployError, ExitCode
from deploy.host import packages, probe

POLICY = """skopeo:
  Installed: (none)
  Candidate: {candidate}
  Version table:
     {candidate} 500
"""


class Apt:
    """apt on a host whose archive has one version of everything, noting what it installs."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, candidate: str) -> None:
        self.installed: list[str] = []
        self._candidate = candidate
        monkeypatch.setattr(os, "geteuid", lambda: 0)
        monkeypatch.setattr(process, "find", lambda tool: f"/usr/bin/{tool}")
        monkeypatch.setattr(process, "run", self._run)
        monkeypatch.setattr(process, "stream", self._stream)

    def _run(self, argv: list[str], *, check: bool) -> process.Completed:
        assert not check
        policy = POLICY.format(candidate=self._candidate)
        return process.Completed(tuple(argv), 0, policy if argv[0] == "apt-cache" else "", "")

    def _stream(self, argv: list[str], *_: object, **__: object) -> None:
        self.installed += argv[argv.index("--no-install-recommends") + 1 :]


@pytest.mark.parametrize(
    ("distribution", "expected"),
    [
        (("debian",), "sudo apt-get install --yes uidmap passt"),
        (("ubuntu", "debian"), "sudo apt-get install --yes uidmap passt"),
        (("fedora",), "sudo dnf install --assumeyes shadow-utils-subid passt"),
    ],
)
def test_install_command_is_exact(distribution: tuple[str, ...], expected: str) -> None:
    assert expected == packages.install_command(["uidmap", "passt"], distribution, root=False)


def test_install_command_names_the_packages_elsewhere() -> None:
    assert "uidmap" in packages.install_command(["uidmap"], ("arch",), root=False)


def test_missing_packages_are_named_with_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(DeployError, match="missing on this host: passt") as caught:
        packages.ensure_packages(["passt"], assume_yes=False)
    assert caught.value.code is ExitCode.UNAVAILABLE
    assert "passt" in caught.value.hint


def test_nothing_is_installed_where_all_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "find", lambda tool: f"/usr/bin/{tool}")
    monkeypatch.setattr(probe, "KEYRING", (Path("/"), "debian-archive-keyring"))
    packages.ensure_stack_packages(assume_yes=False)
    packages.ensure_lab_packages(assume_yes=False)


def test_root_installs_nothing_unasked(monkeypatch: pytest.MonkeyPatch) -> None:
    apt = Apt(monkeypatch, "1.18.0+ds1-1")
    with pytest.raises(DeployError, match="missing on this host: skopeo") as caught:
        packages.ensure_packages(["skopeo"], assume_yes=False)
    assert caught.value.code is ExitCode.UNAVAILABLE
    assert apt.installed == []
    packages.ensure_packages(["skopeo"], assume_yes=True)
    assert apt.installed == ["skopeo"]


@pytest.mark.parametrize("assume_yes", [True, False])
def test_package_that_would_be_too_old_is_not_installed(
    monkeypatch: pytest.MonkeyPatch, *, assume_yes: bool
) -> None:
    apt = Apt(monkeypatch, "1.9.3+ds1-1+b10")
    with pytest.raises(
        DeployError, match=r"skopeo 1\.11\.0 or newer is required, and .* has 1\.9\.3"
    ) as caught:
        packages.ensure_packages(["skopeo"], assume_yes=assume_yes, minimum={"skopeo": (1, 11, 0)})
    assert caught.value.code is ExitCode.UNAVAILABLE
    assert apt.installed == []


@pytest.mark.parametrize(
    ("candidate", "expected"),
    [("1.9.3+ds1-1+b10", (1, 9, 3)), ("2:5.4.2+ds1-2", (5, 4, 2)), ("(none)", None)],
)
def test_candidate_is_what_apt_would_install(
    candidate: str, expected: tuple[int, ...] | None
) -> None:
    assert expected == packages.parse_candidate(POLICY.format(candidate=candidate))
