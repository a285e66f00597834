"""The documentation stays true: commands, switches, paths and options in it exist."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from plumbum import cli

from deploy.cli import command, listing, main
from deploy.cli.admin import Admin
from deploy.cli.completion import collect
from deploy.paths import REPO
from todo.config.settings import PREFIX, Settings

PAGES = sorted([*REPO.glob("*.md"), *REPO.glob("docs/**/*.md")])
FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
# Of `python3 -m todo.mcp`, which runs where the service does not.
BRIDGE_OPTIONS = {"TODO_URL", "TODO_TOKEN"}
# A developer's environment is in the checkout, but is not part of the project.
TOP = {entry.name for entry in REPO.iterdir()} - {".venv"}


def page_id(page: Path) -> str:
    return str(page.relative_to(REPO))


every_page = pytest.mark.parametrize("page", PAGES, ids=page_id)


def commands_in(text: str) -> Iterator[list[str]]:
    """The words after each `build.py`, up to where the command ends."""
    for match in re.finditer(r"build\.py((?: +[^\s`|#;)&]+)*)", text):
        words = match[1].split()
        if words:
            yield words


def quoted(text: str) -> Iterator[str]:
    """Text in backquotes or in fenced blocks: commands, paths and names."""
    yield from FENCE.findall(text)
    yield from re.findall(r"`([^`\n]+)`", FENCE.sub("", text))


def application(words: list[str]) -> tuple[command.Command, list[str]]:
    """The application that a command line ends up in, and the words left for it."""
    current: command.Command = main.Build("build.py")
    rest = list(words)
    while rest and rest[0] in current._subcommands:  # noqa: SLF001 - plumbum has no other way
        name = rest.pop(0)
        current = command.strict(current._subcommands[name].get())(name)  # noqa: SLF001
    return current, rest


@every_page
def test_every_command_line_would_be_understood(page: Path) -> None:
    for piece in quoted(page.read_text()):
        for words in commands_in(piece):
            found, rest = application(words)
            if isinstance(found, Admin):
                check_admin(rest)
                continue
            what = shlex.join(["build.py", *words])
            if words[0] != "COMMAND" and not words[0].startswith("-"):
                assert not isinstance(found, main.Build), f"no such command: {what}"
            for word in rest:
                if word == "--":
                    break
                if word.startswith("-"):
                    name = word.lstrip("-").partition("=")[0]
                    assert name in found._switches_by_name, f"no such switch: {what}"  # noqa: SLF001


def check_admin(words: list[str]) -> None:
    """The backend would understand its part of a command line."""
    known = collect()
    switches = known["admin",].switches
    for word in (word.strip("[]…") for word in words):
        if ("admin", word) in known:
            switches = known["admin", word].switches
        elif word.startswith("-") and word != "-":
            assert word.partition("=")[0] in switches, f"no such switch: admin {words}"


@every_page
def test_every_path_of_the_project_exists(page: Path) -> None:
    text = page.read_text()
    links = re.findall(r"]\(([^)#:]+)(?:#[^)]*)?\)", text)
    missing = [link for link in links if not (page.parent / link).exists()]
    for piece in quoted(text):
        for word in re.findall(r"[\w.@/-]+", piece):
            top = word.partition("/")[0]
            # A Secret is never committed, so the one in the examples does not exist.
            if top in TOP and "/" in word and not word.endswith("secret.yaml"):
                missing += [] if (REPO / word.rstrip(".")).exists() else [word]
    assert missing == []


@every_page
def test_every_option_of_the_service_exists(page: Path) -> None:
    known = {f"{PREFIX}{field}".upper() for field in Settings.model_fields} | BRIDGE_OPTIONS
    assert set(re.findall(r"\bTODO_[A-Z][A-Z_]*[A-Z]\b", page.read_text())) <= known


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page: its headings, as GitHub renders them."""
    prose = FENCE.sub("", page.read_text())
    headings = re.findall(r"^#+ +(.+?)\s*$", prose, re.MULTILINE)
    plain = (re.sub(r"\]\([^)]*\)", "", heading).lower() for heading in headings)
    return {re.sub(r"[^\w -]", "", text).replace(" ", "-") for text in plain}


@every_page
def test_every_link_into_a_page_meets_a_heading(page: Path) -> None:
    prose = FENCE.sub("", page.read_text())
    links = re.findall(r"]\(([^)#:]*)#([^)]*)\)", prose)
    broken = [
        f"{name}#{anchor}"
        for name, anchor in links
        if anchor not in anchors(page.parent / name if name else page)
    ]
    assert broken == []


def test_the_index_has_every_page() -> None:
    index = REPO / "docs" / "README.md"
    pages = {page for page in PAGES if page.is_relative_to(index.parent)} - {index}
    # A folder is in the index as a whole.
    pages = {page for page in pages if page.parent.name != "adr"} | {index.parent / "adr"}
    linked = {
        (index.parent / name).resolve() for name in re.findall(r"]\(([^)#:]+)", index.read_text())
    }
    assert {str(page) for page in pages - linked} == set()
    assert "(docs/README.md)" in (REPO / "README.md").read_text()


def test_an_anchor_is_made_of_a_heading_as_on_the_site() -> None:
    assert "exit-codes-of-buildpy" in anchors(REPO / "docs" / "operate.md")
    assert "exit-codes" not in anchors(REPO / "docs" / "operate.md")


def test_the_page_of_commands_lists_them_as_the_help_does() -> None:
    rows = [f"| `{name}` | {listing.describe(name)} |" for name in listing.COMMANDS]
    table = "\n".join(["| command | does |", "| --- | --- |", *rows, ""])
    assert table in (REPO / "docs/commands.md").read_text(), f"the page should have:\n{table}"


def test_the_documented_exit_codes_are_those_of_the_program() -> None:
    from deploy.errors import ExitCode  # noqa: PLC0415 - used here alone

    text = (REPO / "docs/operate.md").read_text()
    assert [int(code) for code in re.findall(r"^\| (\d+) \|", text, re.MULTILINE)] == list(ExitCode)


def test_the_changelog_knows_the_version() -> None:
    assert f"## [{main.Build.VERSION}]" in (REPO / "CHANGELOG.md").read_text()


def test_a_command_line_that_does_not_exist_would_be_noticed() -> None:
    found, rest = application(["lab", "down", "--frob"])
    assert isinstance(found, cli.Application)
    assert rest == ["--frob"]
    assert "frob" not in found._switches_by_name  # noqa: SLF001
    assert list(commands_in("python3 build.py up --port 1")) == [["up", "--port", "1"]]
