import os
import socket
from pathlib import Path

from deploy.host import volumes
from deploy.host.volumes import Volume


def test_volumes_with_files_are_data_and_empty_ones_are_not(tmp_path: Path) -> None:
    data = tmp_path / "todo-data" / "_data" / "base"
    data.mkdir(parents=True)
    (data / "1").write_bytes(b"x" * 2_000_000)
    os.utime(tmp_path / "todo-data", (1000.0, 1000.0))
    (tmp_path / "empty" / "_data").mkdir(parents=True)
    sockets = tmp_path / "todo-socket" / "_data"
    sockets.mkdir(parents=True)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(os.path.relpath(sockets / "s"))
    (found,) = volumes.scan(tmp_path)
    assert found.name == "todo-data"
    assert found.created_at == 1000.0
    assert 2_000_000 <= found.size_bytes < 2_100_000


def test_storage_without_volumes_holds_no_data(tmp_path: Path) -> None:
    assert volumes.scan(tmp_path / "volumes") == []


def test_a_folder_is_as_old_as_its_oldest_file(tmp_path: Path) -> None:
    folder = tmp_path / "dev"
    folder.mkdir()
    assert volumes.measure(folder) is None
    assert volumes.measure(tmp_path / "missing") is None
    for name, time in (("token-secret", 1000.0), ("todo.db", 5000.0)):
        (folder / name).write_bytes(b"x" * 4096)
        os.utime(folder / name, (time, time))
    measured = volumes.measure(folder)
    assert measured is not None
    assert (measured.name, measured.created_at) == ("dev", 1000.0)
    assert measured.size_bytes > 0


def test_data_is_named_with_its_size_and_age() -> None:
    held = [
        Volume("todo-data", 47_200_000, 1_000.0),
        Volume("other", 3_000_000_000, 1_000.0 + 2 * 86400),
        Volume("new", 4096, 1_000.0 + 3 * 86400 - 30),
    ]
    expected = (
        "todo-data (47.2 MB, 3 days old), other (3 GB, 1 day old), "
        "new (4 kB, less than a minute old)"
    )
    assert expected == volumes.describe(held, 1_000.0 + 3 * 86400)
