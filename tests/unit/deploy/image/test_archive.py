import hashlib
from pathlib import Path

import pytest

from deploy.errors import DeployError
from deploy.image.archive import saved
from deploy.image.reproducible import find_difference
from deploy.image.sizes import by_component
from tests.unit.deploy.oci_layout import Files, write_image


def test_a_higher_layer_hides_a_lower_one(tmp_path: Path) -> None:
    archive = write_image(tmp_path, [{"etc/a": b"old", "etc/b": b"b"}, {"./etc/a": b"new"}])
    assert archive.find("/etc/a") == b"new"
    assert archive.find("etc/b") == b"b"
    assert list(archive.entries) == ["etc/a", "etc/b"]
    assert [layer.created_by for layer in archive.layers] == ["COPY 0", "COPY 1"]


def test_a_file_that_comes_twice_is_known(tmp_path: Path) -> None:
    archive = write_image(tmp_path, [{"etc/a": b"old", "etc/b": b"b"}, {"./etc/a": b"new"}])
    assert archive.replaced == {"etc/a"}


def test_what_a_higher_layer_removes_is_gone(tmp_path: Path) -> None:
    below = {"etc/a": b"a", "opt/x/y": b"y", "srv/old": b"o"}
    above = {"etc/.wh.a": b"", "opt/.wh.x": b"", "srv/.wh..wh..opq": b"", "srv/new": b"n"}
    assert list(write_image(tmp_path, [below, above]).entries) == ["srv/new"]


def test_a_name_like_a_switch_is_no_image(tmp_path: Path) -> None:
    with (
        pytest.raises(DeployError, match="the image --help does not exist here"),
        saved("--help", tmp_path),
    ):
        pass


def test_a_link_or_an_absent_path_has_no_content(tmp_path: Path) -> None:
    archive = write_image(tmp_path, [{"bin/python3": "python3.13"}])
    assert archive.find("bin/python3") is None
    assert archive.find("bin/python") is None


def test_a_content_is_that_of_the_topmost_layer(tmp_path: Path) -> None:
    layers: list[Files] = [{"a": b"1", "b": b"2", "link": "a"}, {"b": b"3", ".wh.a": b""}]
    assert write_image(tmp_path, layers).contents == {
        "b": f"sha256:{hashlib.sha256(b'3').hexdigest()}",
        "link": "-> a",
    }


def test_a_component_is_as_large_as_its_files(tmp_path: Path) -> None:
    archive = write_image(tmp_path, [{"a": b"123", "b": b"1234567", "link": "a"}])
    places = {"small": ["/a", "/link"], "large": ["/b", "/absent"]}
    components = [
        {"name": name, "components": [{"type": "file", "name": path} for path in paths]}
        for name, paths in places.items()
    ]
    assert list(by_component(archive, {"components": components}).items()) == [
        ("large", 7),
        ("small", 3),
    ]


def test_equal_images_do_not_differ(tmp_path: Path) -> None:
    files = [{"a": b"1"}, {"b": b"2"}]
    one, other = (write_image(tmp_path / name, files) for name in "xy")
    assert find_difference(one, other) == ""


def test_the_first_file_that_differs_is_named(tmp_path: Path) -> None:
    one = write_image(tmp_path / "x", [{"same": b"1"}, {"a": b"1", "b": b"one", "c": b"1"}])
    other = write_image(tmp_path / "y", [{"same": b"1"}, {"a": b"1", "b": b"two", "c": b"2"}])
    assert find_difference(one, other).startswith("layer 2: /b: sha256 ")


def test_a_time_that_differs_is_named(tmp_path: Path) -> None:
    one = write_image(tmp_path / "x", [{"a": b"1"}])
    other = write_image(tmp_path / "y", [{"a": b"1"}], mtime=7)
    assert find_difference(one, other) == "layer 1: /a: time 0 and 7"


def test_a_file_more_is_told(tmp_path: Path) -> None:
    one = write_image(tmp_path / "x", [{"a": b"1"}])
    other = write_image(tmp_path / "y", [{"a": b"1", "b": b"1"}])
    assert find_difference(one, other) == "layer 1: one build has more files at its end"


def test_a_layer_more_is_told(tmp_path: Path) -> None:
    one = write_image(tmp_path / "x", [{"a": b"1"}])
    other = write_image(tmp_path / "y", [{"a": b"1"}, {"b": b"1"}])
    assert find_difference(one, other) == "the configuration: rootfs, history"
