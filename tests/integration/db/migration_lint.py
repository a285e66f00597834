"""squawk on what migrations execute on PostgreSQL after the last release."""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

_CAPTURE = Path(__file__).with_name("captured_migration.py")
_CONFIG = Path(__file__).with_name("squawk.toml")

BREAKING = {
    "adding-required-field",
    "ban-disable-trigger",
    "ban-drop-column",
    "ban-drop-constraint",
    "ban-drop-default",
    "ban-drop-function",
    "ban-drop-not-null",
    "ban-drop-table",
    "ban-drop-trigger",
    "ban-drop-view",
    "ban-new-write-restriction",
    "ban-replace-view-function",
    "ban-revoke",
    "ban-set-default",
    "renaming-column",
    "renaming-object",
    "renaming-table",
}
"""Rules about what former programs use.

A migration that raises `oldest_program` says that it takes something away, so these do not apply:
the tests of the last release show whether it works without. All other rules are about locks.
"""


@dataclass(frozen=True)
class Migration:
    """Statements of one revision, and the attributes of its module."""

    revision: str
    statements: list[str]
    contracts: bool
    lint_exceptions: dict[str, str]


def capture(sources: Path, url: str) -> list[Migration]:
    """Migrate a database by the program in a folder, and return its migrations."""
    done = subprocess.run(
        [sys.executable, "-P", str(_CAPTURE), url],
        env={"PYTHONPATH": str(sources)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [Migration(**each) for each in json.loads(done.stdout)]


def lint(migration: Migration) -> list[str]:
    """Return what squawk finds, as `RULE: LINE`, except for what the migration explains."""
    assert all(migration.lint_exceptions.values()), "each exception needs its reason"
    excluded = {*migration.lint_exceptions, *(BREAKING if migration.contracts else ())}
    text = "".join(f"{statement};\n" for statement in migration.statements)
    # fmt: off
    done = subprocess.run(
        [
            Path(sys.executable).with_name("squawk"),
            f"--config={_CONFIG}",
            f"--stdin-filepath={migration.revision}.sql",
            "--reporter=json",
        ],
        input=text, capture_output=True, text=True, check=False,
    )
    # fmt: on
    assert done.returncode in {0, 1}, done.stderr
    found = (
        (each["rule_name"], text.splitlines()[each["line"]]) for each in json.loads(done.stdout)
    )
    return [
        f"{rule}: {line}"
        for rule, line in found
        if rule not in excluded and not _has_default(rule, line)
    ]


def _has_default(rule: str, line: str) -> bool:
    """Whether a write restriction is a required column that former programs may leave out."""
    return rule == "ban-new-write-restriction" and " ADD COLUMN " in line and " DEFAULT " in line
