"""The last release: its tree in a folder, and its tests on a schema that other sources made."""

import contextlib
import io
import os
import subprocess
import sys
import tarfile
import tempfile
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from deploy.paths import REPO
from tests.integration.schema_sources import VARIABLE
from tests.integration.service import open_folder

CHOSEN = {
    "account/test_account.py": ("account", "journal"),
    "api/test_conditions.py": ("task",),
    "api/test_idempotency.py": ("idempotency",),
    "assistant/test_conversations.py": ("conversation", "message"),
    "auth/test_api_tokens.py": ("api_token",),
    "auth/test_commands.py": ("token_cutoff",),
    "compat/test_front_ends.py": ("task",),
    "journal/test_journal.py": ("journal",),
    "journal/test_undo.py": ("journal", "list", "task"),
    "lists/test_lists.py": ("list",),
    "lists/test_shares.py": ("list_share",),
    "mcp/test_adding.py": ("task", "task_tag"),
    "plans/test_plans.py": ("plan",),
    "tags/test_tags.py": ("task_tag",),
    "tasks/test_tasks.py": ("task", "reminder"),
    "transfer/test_transfer.py": ("account", "journal", "list", "task"),
    "writes/test_storage_quota.py": ("account",),
}
"""Test files of the release, and the tables that they are chosen for.

They write and read each table through the service, on both databases, in about two minutes of
processor time. What depends less on the schema (search, protocol, overload) and what migrates
old data itself is left out.
"""


class ReleaseMissingError(Exception):
    """The commit of the last release cannot be read."""


@dataclass(frozen=True)
class Outcome:
    """Outcome of a test run."""

    code: int
    output: str


@dataclass(frozen=True)
class Release:
    """The tree of the last release, without its migrations.

    It cannot make a schema. So each database that its tests use was made by other sources.
    """

    folder: Path

    @property
    def sources(self) -> Path:
        return self.folder / "src"

    @property
    def revision(self) -> str:
        """The revision of the schema that it expects."""
        return self._evaluate("tables.EXPECTED_REVISION")

    @property
    def tables(self) -> set[str]:
        return set(self._evaluate("*tables.metadata.tables").split())

    def _evaluate(self, expression: str) -> str:
        program = f"from todo.db import tables; print({expression})"
        return subprocess.run(
            [sys.executable, "-c", program],
            env={"PYTHONPATH": str(self.sources)},
            check=True,
            capture_output=True,
            text=True,
        ).stdout.strip()

    def run_tests(self, schema_sources: Path, files: Sequence[str], *options: str) -> Outcome:
        """Run integration tests of the release on databases that other sources migrate.

        Args:
            schema_sources: The `src` folder of those sources.
            files: Test files below `tests/integration`.
            options: More arguments for pytest, whose cache is in the folder of the release.
        """
        # As in `build.py test`, and nothing of this run's environment.
        # fmt: off
        argv = [
            sys.executable, "-m", "pytest",
            f"--rootdir={self.folder}",
            f"--config-file={self.folder / 'pyproject.toml'}",
            *(str(self.folder / "tests" / "integration" / file) for file in files),
            *options,
        ]
        # fmt: on
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.folder)}
        with tempfile.TemporaryFile("w+") as output:
            process = subprocess.Popen(
                argv,
                cwd=self.folder,
                env={**environment, VARIABLE: str(schema_sources)},
                stdout=output,
                stderr=subprocess.STDOUT,
            )
            try:
                # Its tests have limits of their own.
                code = process.wait()
            finally:
                # On SIGTERM it stops its servers.
                process.terminate()
                process.wait()
            output.seek(0)
            return Outcome(code, output.read())


def find_commit() -> str:
    """Return the commit that the repository names as its last release."""
    project = tomllib.loads((REPO / "pyproject.toml").read_text())
    commit: str = project["tool"]["todo"]["released"]
    return commit


@contextlib.contextmanager
def open_release() -> Iterator[Release]:
    """Unpack the last release into a folder for the length of the block.

    `git archive` writes nothing into the repository, so nothing stays there of a run that is
    killed.

    Raises:
        ReleaseMissingError: Git cannot read the commit.
    """
    commit = find_commit()
    packed = subprocess.run(
        ["git", "archive", "--format=tar", commit], cwd=REPO, check=False, capture_output=True
    )
    if packed.returncode != 0:
        reason = packed.stderr.decode().strip().splitlines()[-1]
        raise ReleaseMissingError(
            f"the commit of the last release, {commit}, cannot be read ({reason}): "
            "in a shallow clone, run `git fetch --unshallow`"
        )
    with open_folder() as folder:
        with tarfile.open(fileobj=io.BytesIO(packed.stdout)) as archive:
            archive.extractall(folder, filter="data")
        for script in (folder / "src/todo/db/migrations/versions").glob("r*.py"):
            script.unlink()
        yield Release(folder)
