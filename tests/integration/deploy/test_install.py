"""Installing units on a real file system: exactly ours comes and goes, the user's stays."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

import pytest

from deploy.errors import DeployError, ExitCode
from deploy.stack import install
from deploy.stack.install import Link

if TYPE_CHECKING:
    from pathlib import Path

UNITS = {
    "a.container": "[Container]\nImage=a\n",
    "a.socket": "[Socket]\n",
    "a.socket.d/50-port.conf": "[Socket]\nListenStream=1\n",
}


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_each_unit_goes_where_its_reader_looks(home: Path) -> None:
    changed = install.install(UNITS)
    assert changed == set(UNITS)
    assert files(home / "config") == {
        "containers/systemd/a.container",
        "systemd/user/a.socket",
        "systemd/user/a.socket.d/50-port.conf",
    }


def test_installing_the_same_again_changes_nothing() -> None:
    install.install(UNITS)
    assert install.install(UNITS) == set()


def test_only_what_differs_is_named_as_changed() -> None:
    install.install(UNITS)
    assert install.install({**UNITS, "a.socket": "[Socket]\nBacklog=1\n"}) == {"a.socket"}


def test_a_unit_that_a_new_version_lacks_is_removed(home: Path) -> None:
    install.install(UNITS)
    kept = {name: text for name, text in UNITS.items() if name != "a.container"}
    assert install.install(kept) == {"a.container"}
    assert not (home / "config/containers/systemd/a.container").exists()


def test_a_file_that_somebody_else_put_there_stops_everything(home: Path) -> None:
    foreign = home / "config/systemd/user/a.socket"
    foreign.parent.mkdir(parents=True)
    foreign.write_text("# mine\n")
    with pytest.raises(DeployError, match=r"a\.socket was not installed by build\.py") as caught:
        install.install(UNITS)
    assert caught.value.code == ExitCode.CONFIG
    assert files(home / "config") == {"systemd/user/a.socket"}


def test_an_edited_unit_is_never_overwritten_nor_removed(home: Path) -> None:
    install.install(UNITS)
    unit = home / "config/containers/systemd/a.container"
    unit.write_text("# edited\n")
    with pytest.raises(DeployError, match="was edited"):
        install.install(UNITS)
    with pytest.raises(DeployError, match="was edited"):
        install.uninstall()
    assert unit.read_text() == "# edited\n"
    assert (home / "config/systemd/user/a.socket").exists()


def test_an_installation_that_was_interrupted_can_be_taken_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    install.install(UNITS)
    written: list[Path] = []

    def write(path: Path, text: str) -> None:
        if len(written) == 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        path.write_text(text)
        written.append(path)

    newer = {
        "a.container": "[Container]\nImage=b\n",
        "b.container": "[Container]\n",
        "c.socket": "",
    }
    with monkeypatch.context() as patched:
        patched.setattr(install, "_write", write)
        with pytest.raises(OSError, match="No space"):
            install.install(newer)
    assert len(written) == 2
    install.install(UNITS)
    assert install.read_installed() == UNITS
    assert not install.destination("b.container").exists()
    install.refuse_edited()


def test_uninstalling_leaves_what_the_user_put_beside(home: Path) -> None:
    install.install(UNITS)
    own = home / "config/systemd/user/a.socket.d/99-own.conf"
    own.write_text("[Socket]\n")
    install.uninstall()
    assert files(home / "config") == {"systemd/user/a.socket.d/99-own.conf"}
    assert not install.is_installed()


def test_a_dropin_folder_of_ours_goes_with_its_last_file(home: Path) -> None:
    install.install(UNITS)
    install.uninstall()
    assert not (home / "config/systemd/user/a.socket.d").exists()


LINKS: dict[str, str | Link] = {
    **UNITS,
    "a@.container": "[Container]\nImage=a\n",
    "a@2.container": Link("a@.container"),
    "a@.container.d": Link("a.container.d"),
}


def test_a_link_comes_and_goes_with_the_units(home: Path) -> None:
    folder = home / "config/containers/systemd"
    assert install.install(LINKS) == set(LINKS)
    assert (folder / "a@2.container").readlink().name == "a@.container"
    assert install.installed_text("a@2.container") == LINKS["a@.container"]
    assert install.install(LINKS) == set()
    assert install.install(UNITS) == set(LINKS) - set(UNITS)
    assert files(folder) == {"a.container"}
    assert not (folder / "a@.container.d").is_symlink()


def test_a_link_does_not_lead_to_what_somebody_else_put_there(home: Path) -> None:
    folder = home / "config/containers/systemd/a@.container.d"
    folder.mkdir(parents=True)
    with pytest.raises(DeployError, match=r"a@\.container\.d was not installed by build\.py"):
        install.install(LINKS)
    folder.rmdir()
    install.install(LINKS)
    folder.unlink()
    folder.symlink_to("mine")
    with pytest.raises(DeployError, match="was edited"):
        install.uninstall()
    assert folder.is_symlink()


def test_a_damaged_record_is_one_error(home: Path) -> None:
    install.install(UNITS)
    (home / "state/todo-backend/installed.json").write_text("{")
    with pytest.raises(DeployError, match="is damaged") as caught:
        install.install(UNITS)
    assert caught.value.code == ExitCode.DATA
