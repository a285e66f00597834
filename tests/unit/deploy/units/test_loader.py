"""The units of a folder: nothing below it that no reader of them would look at."""

from pathlib import Path

import pytest

from deploy.errors import DeployError, ExitCode
from deploy.units.loader import load_units, load_variants

CONTAINER = "[Container]\nImage=localhost/todo-x:latest\n"


def test_a_drop_in_for_no_unit_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "quadlet"
    drop_in = folder / "dropins/y.container.d/1.conf"
    drop_in.parent.mkdir(parents=True)
    drop_in.write_text("")
    (folder / "x.container").write_text(CONTAINER)
    with pytest.raises(
        DeployError, match=r"quadlet/dropins/y\.container\.d: the unit y\.container does not exist"
    ):
        load_variants(folder)


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        ("notes.txt", "unknown kind of unit"),
        ("x.container~", "unknown kind of unit"),
        ("todo-y.pod", "unknown kind of unit"),
        ("more/y.container", "unknown folder"),
        ("x.container.d/more/1.conf", "unknown folder"),
        ("x.container.d/1.txt", "unknown kind of file"),
        ("y.container.d/1.conf", "the unit y.container does not exist"),
        ("dropins/y.container", "unknown kind of file"),
        ("dropins/more/1.conf", "unknown folder"),
        ("dropins/x.container.d/1.txt", "unknown kind of file"),
        ("dropins/dropins/x.container.d/1.conf", "unknown folder"),
    ],
)
def test_what_no_rule_would_look_at_is_refused(tmp_path: Path, path: str, problem: str) -> None:
    folder = tmp_path / "quadlet"
    file = folder / path
    file.parent.mkdir(parents=True)
    file.write_text("")
    (folder / "x.container").write_text(CONTAINER)
    for load in (load_units, load_variants):
        with pytest.raises(DeployError, match=problem) as caught:
            load(folder)
        assert caught.value.code == ExitCode.DATA


def test_a_link_to_nowhere_is_no_unit(tmp_path: Path) -> None:
    (tmp_path / "x.container").write_text(CONTAINER)
    (tmp_path / "y.container").symlink_to("nowhere")
    with pytest.raises(DeployError, match=r"y\.container: unknown kind of unit"):
        load_units(tmp_path)
