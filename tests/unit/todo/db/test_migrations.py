"""Migrations do not change when the program changes."""

import ast
from pathlib import Path

from todo.db.migrate import SCRIPTS

VERSIONS = Path(SCRIPTS) / "versions"
# They store words by the rules of the program that runs them: the stored words must be those that
# its searches expect. tests/unit/todo/text/test_search_words.py notices other rules.
WORDS = {"todo.text.search_words.render_searched"}
USES = {"r0009_search_words": WORDS, "r0010_unspaced_words": WORDS}


def imports(script: Path) -> set[str]:
    """Return what a script imports, with the module of each name."""
    found = set()
    for node in ast.walk(ast.parse(script.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def test_a_revision_uses_nothing_of_the_program_that_may_change() -> None:
    used = {
        script.stem: {name for name in imports(script) if name.partition(".")[0] == "todo"}
        for script in VERSIONS.glob("r*.py")
    }

    assert {stem: names for stem, names in used.items() if names} == USES
