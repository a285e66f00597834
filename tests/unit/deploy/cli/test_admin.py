"""The command line of `build.py admin`: what is its own, and what is the backend's."""

from __future__ import annotations

import pytest

from deploy.cli.admin import split_words


@pytest.mark.parametrize(
    ("line", "own", "theirs"),
    [
        ("--lab x verify --state", "--lab x", "verify --state"),
        ("verify --state --lab x", "--lab x", "verify --state"),
        ("verify --lab=x --state", "--lab=x", "verify --state"),
        ("export --no-lab --output -", "--no-lab", "export --output -"),
        ("tokens --verbose", "--verbose", "tokens"),
        ("--labb verify", "--labb", "verify"),
        ("verify --labb x", "", "verify --labb x"),
        ("import -- --lab", "", "import -- --lab"),
        ("verify --lab", "--lab", "verify"),
        ("--help", "--help", ""),
        ("verify --help", "", "verify --help"),
    ],
)
def test_the_lab_is_named_before_or_after_the_command(line: str, own: str, theirs: str) -> None:
    assert split_words(line.split()) == (own.split(), tuple(theirs.split()))
