"""Reasons for files in an image: linked libraries and imported modules."""

from __future__ import annotations

import ast
import collections
import dataclasses
import sys
from typing import TYPE_CHECKING

from deploy.stage.elf import needed_libraries

if TYPE_CHECKING:
    import pathlib
    from collections.abc import Iterable, Iterator, Mapping

STDLIB = "usr/lib/python3.13"
WHEELS = "usr/local/lib/python3.13/dist-packages"
DEBIAN = "usr/lib/python3/dist-packages"
PROGRAM = "opt/todo"

# Modules that the interpreter imports without an import statement.
_INTERPRETER = ("_strptime", "codecs", "encodings", "runpy", "site", "traceback", "warnings")

# Modules without a file: built into the interpreter, or registered by other modules.
_REGISTERED = ("_frozen_importlib", "_frozen_importlib_external", "collections.abc", "os.path")


@dataclasses.dataclass(frozen=True)
class Imports:
    """Imports of a module.

    Attributes:
        hard: Names that the module imports unconditionally.
        soft: Names that it imports anywhere, such as in functions and branches.
    """

    hard: frozenset[str]
    soft: frozenset[str]


def linked_by(root: pathlib.Path) -> dict[str, str]:
    """Return library -> a file that is linked with it; both are paths relative to `root`."""
    users: dict[str, str] = {}
    for path, libraries in needed_libraries(root).items():
        for library in libraries:
            users.setdefault(library, str(path.relative_to(root)))
    found = {}
    for path in sorted(root.rglob("*.so*")):
        # Programs name the symbolic link, but its target has the content.
        if path.name in users and path.is_file():
            user = users[path.name]
            found[str(path.relative_to(root))] = user
            found.setdefault(str(path.resolve().relative_to(root.resolve())), user)
    return found


def modules(root: pathlib.Path) -> dict[str, pathlib.Path]:
    """Return the importable modules of an image: dotted name -> path."""
    found: dict[str, pathlib.Path] = {}
    for folder in (f"{STDLIB}/lib-dynload", STDLIB, DEBIAN, WHEELS, PROGRAM):
        base = root / folder
        for path in sorted((*base.rglob("*.py"), *base.rglob("*.so"))):
            parts = [*path.relative_to(base).parts[:-1], path.name.split(".")[0]]
            if parts[-1] == "__init__":
                parts.pop()
            found.setdefault(".".join(parts), path)
    return found


def imported_by(
    found: Mapping[str, pathlib.Path], entries: Iterable[str], *, hard: bool = False
) -> dict[str, str]:
    """Return each module that the entries reach -> the first module that imports it.

    Args:
        found: Result of `modules`.
        entries: Top-level names to start from; a package includes its submodules.
        hard: Whether to follow only unconditional imports.
    """
    tops = tuple(entries)
    importer: dict[str, str] = {}
    waiting: collections.deque[str] = collections.deque()

    def reach(name: str, by: str) -> None:
        for prefix in _prefixes(name):
            if prefix in found and prefix not in importer:
                importer[prefix] = by
                waiting.append(prefix)

    for name in found:
        if name.partition(".")[0] in tops:
            reach(name, "the entry point")
    for name in found:
        if name in _INTERPRETER or name.startswith("encodings."):
            reach(name, "the interpreter")
    while waiting:
        name = waiting.popleft()
        imports = read_imports(name, found[name])
        for wanted in sorted(imports.hard if hard else imports.hard | imports.soft):
            reach(wanted, name)
    return importer


def missing_modules(found: Mapping[str, pathlib.Path], entries: Iterable[str]) -> dict[str, str]:
    """Return each required module that is missing in the image -> a module that imports it."""
    known = {prefix for name in found for prefix in _prefixes(name)}
    known |= {*sys.builtin_module_names, *_REGISTERED}
    tops = {name.partition(".")[0] for name in known} | sys.stdlib_module_names
    return {
        wanted: name
        for name in imported_by(found, entries, hard=True)
        for wanted in sorted(read_imports(name, found[name]).hard)
        if wanted not in known and wanted.partition(".")[0] in tops
    }


def read_imports(name: str, path: pathlib.Path) -> Imports:
    """Return the imports of a module; empty for an extension module."""
    if path.suffix != ".py":
        return Imports(frozenset(), frozenset())
    tree = ast.parse(path.read_bytes())
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    hard = frozenset(
        wanted
        for statement in _unconditional(tree.body)
        for wanted in _names(statement, package, members=False)
    )
    soft = frozenset(
        wanted for node in ast.walk(tree) for wanted in _names(node, package, members=True)
    )
    return Imports(hard, soft)


def _unconditional(body: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    for statement in body:
        if isinstance(statement, ast.ClassDef | ast.With):
            yield from _unconditional(statement.body)
        else:
            yield statement


def _names(node: ast.AST, package: str, *, members: bool) -> Iterator[str]:
    """Yield the modules that a node imports; with `members`, also the names imported from them."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        base = node.module or ""
        if node.level:
            parents = package.split(".")
            parents = parents[: len(parents) - node.level + 1]
            base = ".".join([*parents, base] if base else parents)
        yield base
        if members:
            yield from (f"{base}.{alias.name}" for alias in node.names)
    elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
        called = getattr(node.func, "attr", getattr(node.func, "id", ""))
        if called in ("import_module", "__import__"):
            yield str(node.args[0].value)


def _prefixes(name: str) -> Iterator[str]:
    parts = name.split(".")
    for length in range(1, len(parts) + 1):
        yield ".".join(parts[:length])
