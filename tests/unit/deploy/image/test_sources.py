"""Inputs of an image: changes of the checkout that change its digest, and those that do not."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from deploy.image import sources

if TYPE_CHECKING:
    from pathlib import Path

IDENTITY = ("-c", "user.name=tester", "-c", "user.email=tester@example.org")
FILES = {
    "Containerfile": "FROM scratch\n",
    "pyproject.toml": '[project]\nversion = "1.2.3"\n',
    "requirements/runtime.lock": "",
    "src/deploy/__init__.py": "",
    "src/deploy/stage/rootfs.py": "",
    "src/todo/main.py": "print(1)\n",
    "docs/readme.md": "",
}


class Checkout:
    """A repository with one commit, which is this project's checkout for a test."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        for name, text in FILES.items():
            self.write(name, text)

    def write(self, name: str, text: str) -> None:
        file = self._folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def git(self, *words: str) -> str:
        argv = ["git", "-C", str(self._folder), *IDENTITY, *words]
        return subprocess.run(argv, check=True, capture_output=True, text=True).stdout.strip()

    def commit(self, *words: str) -> str:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message=A change", *words)
        return self.git("rev-parse", "HEAD")


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Checkout:
    found = Checkout(tmp_path)
    found.git("init", "--quiet")
    found.commit()
    monkeypatch.setattr(sources, "REPO", tmp_path)
    return found


def digest(**arguments: str) -> str:
    return sources.digest("backend", {"PORT": "8000", **arguments})


def test_the_same_files_of_another_commit_make_another_image(checkout: Checkout) -> None:
    """An image names its commit: one that was kept from a commit rebased since is another."""
    before = digest()
    checkout.commit("--amend", "--date=2001-02-03T04:05:06Z", "--reset-author")
    assert digest() != before


def test_a_commit_of_other_files_makes_the_same_image(checkout: Checkout) -> None:
    before = digest()
    checkout.write("docs/readme.md", "more\n")
    checkout.commit()
    assert digest() == before


def test_a_change_makes_another_image_and_its_commit_a_third(checkout: Checkout) -> None:
    checkout.write("src/todo/main.py", "print(2)\n")
    changed = digest()
    assert sources.commit("backend")["REVISION"].endswith("-dirty")
    revision = checkout.commit()
    assert sources.commit("backend")["REVISION"] == revision
    assert digest() != changed


def test_a_file_of_another_target_changes_that_image_alone(checkout: Checkout) -> None:
    checkout.write("containers/db/health.sh", "")
    backend, db = digest(), sources.digest("db", {})
    checkout.write("containers/db/health.sh", "exit 0\n")
    assert digest() == backend
    assert sources.digest("db", {}) != db


def test_an_argument_and_the_version_make_another_image(checkout: Checkout) -> None:
    before = digest()
    assert digest(PORT="8001") != before
    checkout.write("pyproject.toml", '[project]\nversion = "1.2.4"\n')
    assert digest() != before


def test_without_git_the_files_alone_decide(
    checkout: Checkout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    (tmp_path / ".git").rename(tmp_path / "moved")
    assert sources.commit("backend") == {}
    before = digest()
    assert digest() == before
    checkout.write("src/todo/main.py", "print(3)\n")
    assert digest() != before
