import importlib.util
import os
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from deploy import paths
from deploy.bootstrap import venv
from deploy.errors import DeployError, ExitCode
from deploy.progress import Step

LOCK = """\
plumbum==2.0.2 \\
    --hash=sha256:aa \\
    --hash=sha256:bb
sqlalchemy[asyncio]==2.1.0 ; python_full_version >= '3.11' \\
    --hash=sha256:cc
types-pyyaml==6.0 \\
    --hash=sha256:dd
"""


class Programs:
    """Stands for the programs that make an environment, and counts the environments made."""

    def __init__(self) -> None:
        self.made = 0
        self.error: BaseException | None = None
        self.argvs: list[list[str]] = []

    def run(self, argv: Sequence[str], _step: Step, env: Mapping[str, str] | None = None) -> None:
        assert env is None or env["PIP_USER"] == "0"
        self.argvs.append(list(argv))
        if "venv" in argv:
            time.sleep(0.02)
            python = Path(argv[-1]) / "bin/python"
            python.parent.mkdir(parents=True)
            python.touch()
            return
        if Path(argv[1]).name == "pip":
            if self.error is not None:
                raise self.error
            self.made += 1


@pytest.fixture
def repo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "repo"
    (folder / "requirements").mkdir(parents=True)
    (folder / "requirements/build.lock").write_text(LOCK)
    monkeypatch.setattr(paths, "REPO", folder)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return folder


@pytest.fixture
def programs(repo: Path, monkeypatch: pytest.MonkeyPatch) -> Programs:
    assert repo
    fake = Programs()
    monkeypatch.setattr(venv, "_run", fake.run)
    return fake


def cached() -> list[str]:
    return [entry.name for entry in paths.cache_dir().iterdir()]


def test_a_lock_pins_names_to_versions_where_they_hold_everywhere() -> None:
    assert venv.pins(LOCK) == {"plumbum": "2.0.2", "types-pyyaml": "6.0"}
    assert [name for name, _, _ in venv.entries(LOCK)] == ["plumbum", "sqlalchemy", "types-pyyaml"]


def test_this_process_satisfies_what_it_has_in_that_version_only() -> None:
    assert venv.satisfied({"pytest": pytest.__version__})
    assert not venv.satisfied({"pytest": "0.1"})
    assert not venv.satisfied({"no-such-distribution": "1"})


def test_another_lock_means_another_environment(repo: Path) -> None:
    before = venv.location("build")
    (repo / "requirements/build.lock").write_text(LOCK + "x==1\n")
    assert venv.location("build") != before
    assert venv.location("build").parent == paths.cache_dir()


def test_an_environment_is_made_once_from_hashes(programs: Programs) -> None:
    python = venv.ensure("build")
    assert venv.ensure("build") == python
    assert programs.made == 1
    assert "--require-hashes" in programs.argvs[1]
    assert cached() == [venv.location("build").name]


def test_commands_at_the_same_time_make_one_environment(programs: Programs) -> None:
    threads = [threading.Thread(target=venv.ensure, args=["build"]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert programs.made == 1


@pytest.mark.parametrize("error", [KeyboardInterrupt(), DeployError("pip failed")])
def test_an_environment_cut_short_leaves_nothing(programs: Programs, error: BaseException) -> None:
    programs.error = error
    with pytest.raises(type(error)):
        venv.ensure("build")
    assert cached() == []


def test_an_environment_without_its_stamp_is_made_anew(programs: Programs) -> None:
    rubbish = venv.location("build") / "bin/python"
    rubbish.parent.mkdir(parents=True)
    rubbish.touch()
    venv.ensure("build")
    assert programs.made == 1


def test_environments_of_older_locks_go_when_long_unused(programs: Programs) -> None:
    assert programs
    old = paths.cache_dir() / "venv-build-0000"
    recent = paths.cache_dir() / "venv-build-1111"
    for folder in (old, recent):
        folder.mkdir(parents=True)
        (folder / "complete").touch()
    long_ago = time.time() - 365 * 86400
    os.utime(old / "complete", (long_ago, long_ago))
    venv.ensure("build")
    assert sorted(cached()) == sorted([recent.name, venv.location("build").name])


def test_a_damaged_environment_is_named_instead_of_entered_for_ever(
    repo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (repo / "requirements/build.lock").write_text(
        "no-such-distribution==1 \\\n    --hash=sha256:aa\n"
    )
    monkeypatch.setattr(sys, "prefix", str(venv.location("build")))
    with pytest.raises(DeployError, match="is damaged") as caught:
        venv.enter("build")
    assert f"remove it with rm -r {venv.location('build')}" in caught.value.hint


def test_a_python_that_hides_its_environment_is_named_instead_of_restarted_for_ever(
    programs: Programs, monkeypatch: pytest.MonkeyPatch
) -> None:
    python = str(venv.location("build") / "bin/python")
    monkeypatch.setattr(sys, "executable", python)
    monkeypatch.setattr(venv, "_restart", lambda _python: pytest.fail("restarted"))
    with pytest.raises(DeployError, match="does not import packages") as caught:
        venv.enter("build")
    assert "PYTHONHOME" in caught.value.hint
    assert programs.made == 0


def test_a_python_without_site_is_refused_before_an_environment_is_made(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-S", str(paths.REPO / "build.py"), "status"],
        env={"PATH": os.environ["PATH"], "XDG_CACHE_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == ExitCode.CONFIG
    assert done.stderr == (
        "build.py: error: this Python does not import packages from virtual environments — start "
        "build.py without -S and without PYTHONHOME\n"
    )
    assert list(tmp_path.iterdir()) == []


def test_a_package_that_does_not_compile_does_not_cost_the_environment(
    programs: Programs, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(argv: Sequence[str], step: Step, env: Mapping[str, str] | None = None) -> None:
        programs.run(argv, step, env)
        if "compileall" in argv:
            raise DeployError("compileall failed")

    monkeypatch.setattr(venv, "_run", run)
    assert venv.ensure("build").exists()


def test_a_python_without_a_wheel_of_pip_is_named(
    programs: Programs, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert programs
    monkeypatch.setattr(venv, "_find_pip", lambda: None)
    with pytest.raises(DeployError, match="pip wheel is missing"):
        venv.ensure("build")
    assert cached() == []


class TestPythonWithoutVenv:
    @pytest.fixture(autouse=True)
    def _parted(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
        monkeypatch.setattr("shutil.which", lambda _name: "/usr/bin/apt-get")
        monkeypatch.setattr(sys, "base_prefix", "/usr")

    def test_a_user_of_debian_is_told_the_command(
        self, programs: Programs, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("os.geteuid", lambda: 1000)
        with pytest.raises(DeployError, match="cannot create virtual environments") as caught:
            venv.ensure("build")
        assert caught.value.code == ExitCode.UNAVAILABLE
        assert "sudo apt-get install" in caught.value.hint
        assert programs.argvs == []

    def test_root_gets_nothing_unasked(
        self, programs: Programs, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("os.geteuid", lambda: 0)
        with pytest.raises(DeployError, match="-venv is not installed") as caught:
            venv.ensure("build")
        assert caught.value.hint.startswith("run: apt-get install")
        assert programs.argvs == []

    def test_root_on_debian_gets_the_package_when_asked_for(
        self, programs: Programs, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("os.geteuid", lambda: 0)
        monkeypatch.setattr(venv, "_run", lambda argv, *_, **__: programs.argvs.append(argv))
        venv._require_venv(install=True)  # noqa: SLF001 - the rest needs the real package
        assert programs.argvs[0][:2] == ["apt-get", "install"]
        assert programs.argvs[0][-1].endswith("-venv")

    def test_another_python_is_asked_for_elsewhere(
        self, programs: Programs, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert programs
        monkeypatch.setattr(sys, "base_prefix", "/opt/python")
        with pytest.raises(DeployError, match="ensurepip"):
            venv.ensure("build")


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("WARNING: Temporary failure in name resolution", ExitCode.UNAVAILABLE),
        ("ERROR: Could not install packages: No space left on device", ExitCode.NO_SPACE),
        ("ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM", ExitCode.DATA),
        ("ERROR: No matching distribution found for plumbum", ExitCode.FAILED),
    ],
)
def test_a_failing_pip_is_one_line_with_its_code(words: str, code: ExitCode) -> None:
    script = "import sys; print(sys.argv[-1]); sys.exit(1)"
    with pytest.raises(DeployError) as caught:
        venv._run([sys.executable, "-c", script, "/tmp/pip", words], Step("Trying"))  # noqa: S108, SLF001
    assert caught.value.code == code
    assert str(caught.value).startswith(("pip ", "a downloaded package "))
    assert "\n" not in str(caught.value)
