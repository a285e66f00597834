"""The parts of the fault suite that need no lab: its table, and the disk that forgets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.faults import table
from tests.faults.load import is_lost
from tests.faults.table import Row
from tests.faults.volatile_disk import BLOCK, Disk

if TYPE_CHECKING:
    from pathlib import Path

OLD, NEW = b"o" * BLOCK, b"n" * BLOCK
REPORT: dict[str, Any] = {
    "sent": 1200,
    "rate": 200,
    "lost": 3,
    "deferred": 4,
    "acknowledged": 120,
    "missing": ["a", "b"],
    "doubled": ["c"],
}


@pytest.fixture
def image(tmp_path: Path) -> Path:
    file = tmp_path / "image"
    file.write_bytes(OLD * 64)
    return file


def test_a_row_shows_what_a_fault_costs() -> None:
    rows = [
        Row("process killed", 0.27, 2.0, REPORT, "systemd"),
        Row("clock jump", None, None, None, "not reached"),
    ]
    assert table.render(rows).splitlines()[2:] == [
        "| process killed | 0.3 s | 2.0 s | 1200 (200) | 3 | 4 | 120 | 2 | 1 | systemd |",
        "| clock jump | - | - | - | - | - | - | - | - | not reached |",
    ]


@pytest.mark.parametrize(
    ("outcome", "lost"),
    [
        ("200", False),
        ("401", False),
        ("deferred", False),
        ("500", True),
        ("503", True),
        ("closed", True),
        ("ConnectionResetError", True),
    ],
)
def test_a_request_is_lost_without_an_answer_or_with_a_server_error(
    outcome: str, *, lost: bool
) -> None:
    assert is_lost(outcome) is lost


def test_a_disk_reads_what_was_written(image: Path) -> None:
    disk = Disk(image, 0)
    disk.write(2 * BLOCK, NEW)
    assert disk.read(BLOCK, 3 * BLOCK) == OLD + NEW + OLD


def test_a_power_cut_keeps_what_was_flushed(image: Path) -> None:
    disk = Disk(image, 0)
    disk.write(0, NEW * 32)
    disk.flush()
    assert disk.cut() == {"unflushed": 0, "lost": 0}
    assert image.read_bytes() == NEW * 32 + OLD * 32


def test_a_power_cut_loses_any_of_what_was_not_flushed(image: Path) -> None:
    disk = Disk(image, 0)
    disk.write(0, NEW * 32)
    found = disk.cut()
    assert found["unflushed"] == 32
    assert 0 < found["lost"] < 32
    kept = image.read_bytes()
    blocks = [kept[at : at + BLOCK] for at in range(0, 32 * BLOCK, BLOCK)]
    assert blocks.count(OLD) == found["lost"]
    # In any order: a disk writes as it likes.
    assert blocks != sorted(blocks)
    assert blocks != sorted(blocks, reverse=True)


def test_a_write_of_less_than_a_block_is_a_mistake_of_the_set_up(image: Path) -> None:
    with pytest.raises(ValueError, match="512"):
        Disk(image, 0).write(512, NEW)
