"""The volume of the database: the shipped one, or the one that a restore made."""

from pathlib import Path

import pytest

from deploy.stack import data_volume, install, lifecycle
from deploy.units.parser import parse_unit


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user for whom nothing is installed."""
    for variable in ("XDG_CONFIG_HOME", "XDG_STATE_HOME"):
        monkeypatch.setenv(variable, str(tmp_path / variable.lower()))
    return tmp_path


def test_the_shipped_volume_needs_no_drop_in() -> None:
    assert data_volume.find_name() == "todo-data"
    assert data_volume.find_units() == {}
    assert data_volume.find_units("todo-data") == {}


def test_another_volume_stays_until_another_one_is_chosen(home: Path) -> None:
    install.install({**install.shipped(), **data_volume.find_units("todo-data-1")})
    assert data_volume.find_name() == "todo-data-1"
    kept = data_volume.find_units()
    assert install.install({**install.shipped(), **kept}) == set()
    path = home / "xdg_config_home/containers/systemd/todo-data.volume.d/50-restored.conf"
    unit = parse_unit("todo-data.volume", path.read_text())
    assert unit.get("Volume", "VolumeName").value == "todo-data-1"
    install.install({**install.shipped(), **data_volume.find_units("todo-data")})
    assert not path.exists()
    assert data_volume.find_name() == "todo-data"


def test_the_shipped_name_is_that_of_the_unit() -> None:
    assert f"VolumeName={data_volume.SHIPPED}\n" in install.shipped()["todo-data.volume"]
    assert data_volume.SHIPPED in lifecycle.VOLUMES
