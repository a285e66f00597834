"""The comparison of `build.py bench api`: what it counts as met, and where it runs its programs."""

import dataclasses
import os
import subprocess
import sys
from collections.abc import Sequence

import pytest

from deploy.paths import REPO
from tests.bench import api
from tests.bench.api_sides import OPERATIONS, OURS, Side

_CELLS = [(operation, number) for operation in OPERATIONS for number in (1, 16, 64)]
_PEER = api.Figures(rate=100, server_us=4000, database_us=400, median_ms=10, p99_ms=40)
# 4.4 times the peer's requests a CPU second, which is enough for all.
_OURS = api.Figures(rate=400, server_us=900, database_us=100, median_ms=2, p99_ms=19)


def compare(changed: api.Figures, cell: api.Cell) -> tuple[list[str], bool]:
    """The lines of the table and whether all is met, when one cell of ours is another."""
    ours = dict.fromkeys(_CELLS, _OURS) | {cell: changed}
    peer = dict.fromkeys(_CELLS, _PEER)
    sides = (("ours", ours), ("peer", peer))
    runs = {name: {each: [figures[each]] for each in _CELLS} for name, figures in sides}
    table, met = api.render_ratios(runs, ours, peer)
    return table.splitlines()[2:-1], met


def test_all_is_met_with_enough_requests_per_cpu_second() -> None:
    lines, met = compare(_OURS, ("list", 1))

    assert met
    assert [line.split()[-1] for line in lines] == ["yes"] * len(_CELLS)


@pytest.mark.parametrize(
    ("cell", "server_us"),
    [(("list", 16), 1200), (("read", 1), 1500), (("create", 64), 2000), (("search", 1), 1050)],
)
def test_each_requirement_counts(cell: api.Cell, server_us: int) -> None:
    lines, met = compare(dataclasses.replace(_OURS, server_us=server_us), cell)

    assert not met
    assert [line.split()[-1] for line in lines].count("NO") == 1
    assert lines[_CELLS.index(cell)].endswith("NO")


@pytest.mark.parametrize(("connections", "met"), [(16, True), (64, False)])
def test_the_slowest_answers_count_at_most_connections(connections: int, *, met: bool) -> None:
    slow = dataclasses.replace(_OURS, p99_ms=_PEER.p99_ms / 2)

    assert compare(slow, ("read", connections))[1] == met


def test_cpu_time_is_read_by_a_program_beside_the_service() -> None:
    def run(program: Sequence[str], stdin: str) -> str:
        name, *arguments = program
        return subprocess.run(
            [sys.executable, REPO / "tests" / "bench" / name, *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            check=True,
        ).stdout

    side = Side(OURS, "", os.getpid(), os.getpid(), [], run)

    server_s, database_s = side.cpu_s()
    assert 0 < server_s < 3600
    assert database_s > 0
