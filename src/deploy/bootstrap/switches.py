"""Validation of a command line against the source of its command, without importing it.

Standard library only: a misspelled switch is reported before an environment is created or a package
is installed.
"""

from __future__ import annotations

import ast
import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_SOURCES = Path(__file__).parents[1] / "cli"
_DECLARED = {"Flag", "SwitchAttr"}
_EVERYWHERE = dict.fromkeys(("-h", "--help", "-v", "--version", "--verbose"))


@dataclasses.dataclass(frozen=True)
class Value:
    """Value that a switch requires: any text, or an integer within `bounds` (inclusive)."""

    bounds: tuple[int, int] | None = None

    def accepts(self, text: str) -> bool:
        """Return whether a text is a valid value; without bounds, any text is."""
        if self.bounds is None:
            return True
        low, high = self.bounds
        return text.isascii() and text.isdigit() and low <= int(text) <= high


@dataclasses.dataclass
class Grammar:
    """Switches and arguments that a command accepts.

    Attributes:
        switches: Name -> required value; None for a flag.
        most_words: Maximum number of positional arguments; None for any number.
        parses_rest: Whether the command itself parses the words after the first positional one.
        commands: Name -> grammar of a subcommand.
    """

    switches: dict[str, Value | None]
    most_words: int | None = 0
    parses_rest: bool = False
    commands: dict[str, Grammar] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class UsageProblem:
    """Usage error of a command line.

    Attributes:
        command: Names of the command and its subcommands.
        switch: Unknown switch; empty for other errors.
        names: Long switches of the command, if a switch is unknown.
    """

    command: tuple[str, ...]
    switch: str = ""
    names: tuple[str, ...] = ()


def find_module(command: str) -> str:
    """Return the name of a command's module in `deploy.cli`."""
    return command.replace("-", "_")


def find_class(command: str) -> str:
    """Return the name of a command's class in its module."""
    return "".join(word.capitalize() for word in command.split("-"))


def find_grammar(command: str) -> Grammar:
    """Return the grammar of a command by its name."""
    return _Module(find_module(command)).grammar_of(find_class(command))


def find_usage_problem(command: str, words: Sequence[str]) -> UsageProblem | None:
    """Return the first usage error in the words after a command, or None."""
    try:
        _Line(command, words).read()
    except _UsageError as error:
        return error.problem
    return None


class _UsageError(Exception):
    """Usage error, raised while a command line is parsed."""

    def __init__(self, problem: UsageProblem) -> None:
        super().__init__()
        self.problem = problem


class _Line:
    """Parser of one command line."""

    def __init__(self, command: str, words: Sequence[str]) -> None:
        self._grammar = find_grammar(command)
        self._path: tuple[str, ...] = (command,)
        self._words = list(words)

    def read(self) -> None:
        """Parse the words; raise `_UsageError` if the command will reject them."""
        count = 0
        while self._words:
            word = self._words.pop(0)
            if word == "--":
                count += len(self._words)
                break
            if word.startswith("-") and word != "-":
                for name, attached in _split(word, self._grammar):
                    self._read_switch(name, attached)
            elif self._grammar.commands:
                self._enter(word)
            elif self._grammar.parses_rest:
                return
            else:
                count += 1
        most = self._grammar.most_words
        if most is not None and count > most and not self._grammar.parses_rest:
            raise _UsageError(UsageProblem(self._path))

    def _enter(self, word: str) -> None:
        if word not in self._grammar.commands:
            raise _UsageError(UsageProblem(self._path))
        self._grammar, self._path = self._grammar.commands[word], (*self._path, word)

    def _read_switch(self, name: str, attached: str | None) -> None:
        if name not in self._grammar.switches:
            names = tuple(each for each in self._grammar.switches if each.startswith("--"))
            raise _UsageError(UsageProblem(self._path, name, names))
        value = self._grammar.switches[name]
        if value is None:
            sound = attached is None
        elif attached is None:
            sound = bool(self._words) and value.accepts(self._words.pop(0))
        else:
            sound = value.accepts(attached)
        if not sound:
            raise _UsageError(UsageProblem(self._path))


def _split(word: str, grammar: Grammar) -> Iterator[tuple[str, str | None]]:
    """Yield each switch in a word, with its attached value or None."""
    if word.startswith("--"):
        name, separator, value = word.partition("=")
        yield name, value if separator else None
        return
    for at in range(1, len(word)):
        name = f"-{word[at]}"
        takes = grammar.switches.get(name) is not None
        yield name, (word[at + 1 :] or None) if takes else None
        if takes:
            return


class _Module:
    """Switch declarations of a module in `deploy.cli`."""

    def __init__(self, name: str) -> None:
        self._tree = ast.parse((_SOURCES / f"{name}.py").read_text(encoding="utf-8"))
        self._classes = {
            node.name: node for node in self._tree.body if isinstance(node, ast.ClassDef)
        }

    def grammar_of(self, name: str) -> Grammar:
        """Return the grammar of a class, including inherited switches."""
        node = self._classes[name]
        grammar = Grammar(dict(_EVERYWHERE))
        for base in node.bases:
            if isinstance(base, ast.Name):
                inherited = self._resolve(base.id)
                grammar.switches |= inherited.switches
                grammar.parses_rest |= inherited.parses_rest
        for each in node.body:
            self._add(each, grammar)
        for each in self._tree.body:
            self._add_outside(each, name, grammar)
        return grammar

    def _resolve(self, name: str) -> Grammar:
        if name in self._classes:
            return self.grammar_of(name)
        for node in self._tree.body:
            if isinstance(node, ast.ImportFrom) and name in {each.name for each in node.names}:
                return _Module((node.module or "").rpartition(".")[2]).grammar_of(name)
        return Grammar({})

    def _add(self, node: ast.stmt, grammar: Grammar) -> None:
        if isinstance(node, ast.Assign) and (call := _call_of(node.value, _DECLARED)):
            flag = _attribute(call.func) == "Flag"
            grammar.switches |= dict.fromkeys(_names(call), None if flag else _value(call))
        if not isinstance(node, ast.FunctionDef):
            return
        for decorator in node.decorator_list:
            if call := _call_of(decorator, {"switch"}):
                takes = len(call.args) > 1
                grammar.switches |= dict.fromkeys(_names(call), _value(call) if takes else None)
        if node.name == "main":
            grammar.most_words = None if node.args.vararg else len(node.args.args) - 1
        # The override in `Command` parses words like plumbum.
        if node.name == "_parse_args" and "Command" not in self._classes:
            grammar.parses_rest = True

    def _add_outside(self, node: ast.stmt, name: str, grammar: Grammar) -> None:
        """Apply the subcommands and `unbind_switches` calls that follow the class."""
        if isinstance(node, ast.ClassDef):
            for decorator in node.decorator_list:
                call = _call_of(decorator, {"subcommand"})
                if call and _owner(call) == name:
                    grammar.commands[_names(call)[0]] = self.grammar_of(node.name)
        call = _call_of(node.value, {"unbind_switches"}) if isinstance(node, ast.Expr) else None
        if call and _owner(call) == name:
            for argument in call.args:
                grammar.switches.pop(str(ast.literal_eval(argument)), None)


def _call_of(node: ast.expr, names: set[str]) -> ast.Call | None:
    return node if isinstance(node, ast.Call) and _attribute(node.func) in names else None


def _attribute(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else ""


def _owner(call: ast.Call) -> str:
    owner = call.func.value if isinstance(call.func, ast.Attribute) else None
    return owner.id if isinstance(owner, ast.Name) else ""


def _names(call: ast.Call) -> list[str]:
    found = ast.literal_eval(call.args[0])
    return [found] if isinstance(found, str) else list(found)


def _value(call: ast.Call) -> Value:
    bounds = _call_of(call.args[1], {"Range"}) if len(call.args) > 1 else None
    if bounds is None:
        return Value()
    low, high = map(ast.literal_eval, bounds.args)
    return Value((low, high))
