"""docs/secure.md: the commands that replace the token secret, run beside a Podman of files."""

import dataclasses
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from deploy.paths import QUADLET
from deploy.units.loader import load_contract
from tests.guides import blocks_of

SECRET, PREVIOUS = "todo-token-secret", "todo-token-secret-previous"
OLD = "an old secret of more than 32 bytes, kept for a while"
# Knows what the page uses, and prints a line end behind the secret as the real one does.
PODMAN = """#!/bin/sh
set -eu
case "$*" in
    "secret inspect --showsecret --format {{.SecretData}} "*) cat "$SECRETS/$6"; echo ;;
    "secret create --replace "*" -") cat > "$SECRETS/$4" ;;
    "secret create "*" -") [ ! -e "$SECRETS/$3" ] && cat > "$SECRETS/$3" ;;
    *) echo "podman: $*" >&2; exit 125 ;;
esac
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home whose user has run the commands of the page."""
    podman, build = tmp_path / "bin/podman", tmp_path / "build.py"
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / SECRET).write_text(OLD)
    podman.parent.mkdir()
    podman.write_text(PODMAN)
    podman.chmod(0o755)
    build.write_text("import sys; assert sys.argv[1:] == ['restart']")
    (block,) = (block for block in blocks_of("secure.md", "sh") if PREVIOUS in block)
    environment = {
        "HOME": str(tmp_path),
        "PATH": f"{podman.parent}:{os.environ['PATH']}",
        "SECRETS": str(tmp_path / "secrets"),
    }
    subprocess.run(["bash", "-euc", block], env=environment, cwd=tmp_path, check=True)
    return tmp_path


def test_the_old_secret_is_kept_and_another_one_takes_its_place(home: Path) -> None:
    assert (home / "secrets" / PREVIOUS).read_text().removesuffix("\n") == OLD
    new = (home / "secrets" / SECRET).read_text()
    assert len(new) == 64
    assert new != OLD


def test_the_drop_in_mounts_the_old_secret_as_the_unit_mounts_the_new_one(home: Path) -> None:
    units = home / "quadlet"
    shutil.copytree(QUADLET, units)
    shutil.copytree(home / ".config/containers/systemd", units, dirs_exist_ok=True)

    backend = load_contract(units).container("todo-backend")

    new, old = backend.secrets
    assert old == dataclasses.replace(new, name=PREVIOUS, path=f"/run/secrets/{PREVIOUS}")
    assert dict(backend.environment)["TODO_TOKEN_PREVIOUS_SECRET_FILE"] == old.path
