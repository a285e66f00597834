"""Parsing of a command line before any command is imported."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from deploy.bootstrap import commands, switches
from deploy.cli import listing, main
from deploy.cli.command import strict
from deploy.errors import DeployError

if TYPE_CHECKING:
    from plumbum import cli


def declared(command: cli.Application) -> dict[str, bool]:
    """The switches as plumbum has them: name -> whether it takes a value."""
    return {
        f"{'-' if len(name) == 1 else '--'}{name}": bool(found.argtype)
        for name, found in command._switches_by_name.items()  # noqa: SLF001 - plumbum has no other way
    }


def read(grammar: switches.Grammar) -> dict[str, bool]:
    return {name: value is not None for name, value in grammar.switches.items()}


@pytest.mark.parametrize("name", listing.COMMANDS)
def test_the_source_says_what_the_parser_of_the_command_knows(name: str) -> None:
    command = strict(main.Build("build.py")._subcommands[name].get())  # noqa: SLF001
    grammar = switches.find_grammar(name)
    application = command(name)
    assert read(grammar) == declared(application)
    nested = application._subcommands  # noqa: SLF001
    assert set(grammar.commands) == set(nested)
    for word, inner in grammar.commands.items():
        assert read(inner) == declared(strict(nested[word].get())(word))


@pytest.mark.parametrize(
    "line",
    [
        "up --prot 3",
        "up --port",
        "up --port x",
        "up --port=99999",
        "up --yes=1",
        "up further",
        "up --lab",
        "test --tier",
        "image --yes --prot",
        "lab upp --yes",
        "lab up --yes --port 3",
        "push --yes a b c",
    ],
)
def test_a_command_line_that_will_be_refused_installs_nothing(line: str) -> None:
    assert not commands.may_install(line.split())


@pytest.mark.parametrize(
    "line",
    [
        "up --port 8001 --lab second",
        "up --builder=debian:13 --verbose",
        "test unit -- -x --lf",
        "image --yes --target=db",
        "lab up other --yes --publish 8080:8000",
        "lab run --yes -- program --unknown",
    ],
)
def test_a_command_line_that_is_sound_may_install(line: str) -> None:
    assert commands.may_install(line.split())


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("up --prot 3", "unknown switch --prot — did you mean --port?"),
        ("logs -fx", "unknown switch -x — see: python3 build.py logs --help"),
        ("lab down --al", "unknown switch --al — did you mean --all?"),
        ("status --jsn", "unknown switch --jsn — did you mean --json?"),
    ],
)
def test_an_unknown_switch_is_refused_before_there_is_an_environment(
    line: str, message: str
) -> None:
    with pytest.raises(DeployError) as early:
        listing.answer(line.split())
    with pytest.raises(DeployError) as late:
        main.Build.start(["build.py", *line.split()])
    assert str(early.value) == str(late.value) == message
