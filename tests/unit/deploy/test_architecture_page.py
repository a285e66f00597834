"""docs/architecture.md names what exists."""

import configparser
import re

import pytest

from deploy.paths import REPO

PAGE = (REPO / "docs/architecture.md").read_text()
MODULE = re.compile(r"`((?:[a-z0-9_]+/)*[a-z0-9_]+\.py)`")


def drawn(tree: str) -> set[str]:
    """The packages in the picture of a tree: the first word of each row, behind its bracket."""
    picture = PAGE.split(f"`src/{tree}`\n\n```\n")[1].split("```")[0]
    return {line.lstrip(" ┌│└").split()[0] for line in picture.splitlines()}


def test_the_modules_that_the_page_names_exist() -> None:
    named = set(MODULE.findall(PAGE)) - {"build.py"}
    assert len(named) > 40
    missing = {
        name
        for name in named
        if not any((REPO / tree / name).is_file() for tree in ("src/todo", "src/deploy", ""))
    }
    assert missing == set()


@pytest.mark.parametrize("tree", ["todo", "deploy"])
def test_the_picture_has_the_layers_that_are_checked(tree: str) -> None:
    contracts = configparser.ConfigParser()
    contracts.read(REPO / ".importlinter")
    layers = contracts[f"importlinter:contract:{tree}"]["layers"]
    assert drawn(tree) == set(layers.replace("|", " ").split())


def test_a_request_is_described_in_at_most_ten_steps() -> None:
    steps = PAGE.split("## How a request is handled")[1].split("\n## ")[0]
    assert 5 <= len(re.findall(r"^\d+\. ", steps, re.MULTILINE)) <= 10
