"""`build.py audit` with its real checkers: on this checkout, and on one that was spoilt."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.audit import external
from deploy.errors import DeployError, ExitCode
from deploy.paths import REPO

# Python runs a module of that name when it starts: this one writes down who is asked for an
# address or a connection, and lets nobody through.
WATCH = """\
import sys
def watch(event, args):
    if event in ("socket.getaddrinfo", "socket.connect"):
        open({log!r}, "a").write(f"{{event}} {{args[-4:]}}\\n")
        raise OSError("no network in this test")
sys.addaudithook(watch)
"""


def run_audit(root: Path, *switches: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, str(root / "build.py"), "audit", *switches]
    return subprocess.run(argv, capture_output=True, text=True, check=False)


@pytest.fixture
def spoilt(tmp_path: Path) -> Path:
    """A copy of the checkout with one thing wrong for each checker to find."""
    ignored = shutil.ignore_patterns(".*", "__pycache__")
    shutil.copytree(REPO, tmp_path / "copy", ignore=ignored)
    for name, old, new in (
        ("Containerfile", "WORKDIR /build\n", "WORKDIR build\n# hadolint ignore=DL3020\nADD x /\n"),
        ("kube/todo.yaml", "allowPrivilegeEscalation: false", "privileged: true"),
        ("kube/todo.yaml", "  replicas: 1\n", "  replicaz: 1\n"),
        ("quadlet/todo-db.container", "NoNewPrivileges=true\n", ""),
        ("exceptions.toml", 'rule = "DL3022"', 'rule = "DL3999"'),
    ):
        file = tmp_path / "copy" / name
        assert old in file.read_text()
        file.write_text(file.read_text().replace(old, new))
    return tmp_path / "copy"


def test_the_checkout_is_clean() -> None:
    done = run_audit(REPO)
    assert done.returncode == ExitCode.OK, done.stdout + done.stderr
    assert done.stdout.endswith("\nno findings\n")
    assert run_audit(REPO).stdout == done.stdout


def test_every_checker_finds_what_is_wrong(spoilt: Path) -> None:
    done = run_audit(spoilt, "--json")
    assert done.returncode == ExitCode.FAILED, done.stdout + done.stderr
    found = {
        (each["tool"], each["rule"], each["where"]) for each in json.loads(done.stdout)["findings"]
    }
    assert found >= {
        ("hadolint", "DL3000", "Containerfile"),
        ("hadolint", "DL3020", "Containerfile"),
        ("hadolint", "DL3022", "Containerfile"),
        ("checkov", "CKV_K8S_16", "kube/todo.yaml"),
        ("checkov", "CKV_K8S_20", "kube/todo.yaml"),
        ("kubernetes-validate", "SCHEMA", "kube/todo.yaml"),
        ("units", "CIS-5.26", "quadlet/todo-db.container"),
        ("exceptions", "STALE", "exceptions.toml"),
    }


def test_checkov_asks_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = tmp_path / "asked"
    (tmp_path / "sitecustomize.py").write_text(WATCH.format(log=str(log)))
    watched = {**external.ENVIRONMENT, "PYTHONPATH": str(tmp_path)}
    for name, environment in (
        ("quiet", watched),
        ("talkative", {**watched, "CKV_SKIP_PACKAGE_UPDATE_CHECK": "false"}),
    ):
        monkeypatch.setattr(external, "ENVIRONMENT", environment)
        (tmp_path / name).mkdir()
        checked = external.run_all(REPO, tmp_path / name)
        assert [each.tool for each in checked] == ["hadolint", "checkov", "kubernetes-validate"]
        # Without what keeps it quiet, it would be caught.
        assert log.exists() is (name == "talkative")


def test_a_result_that_cannot_be_had_is_no_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What checkov does with a file whose name it does not know: nothing, and exit code 0.
    monkeypatch.setattr(external, "_DOCKERFILE", "Containerfile")
    with pytest.raises(DeployError, match="checkov") as caught:
        external.run_all(REPO, tmp_path)
    assert caught.value.code is ExitCode.UNAVAILABLE
