"""What a request costs, beside a service written as people usually write it (tests/bench/peer).

Requests per second, CPU time a request (of the server and of all processes of its PostgreSQL;
the load generator's is left out), median and 99th percentile of the latency, for four operations
on 1, 16 and 64 keep-alive connections, in alternating rounds. Both sides have one process, a
PostgreSQL of their own with the same settings (fsync off: no disk is waited for), the same
100,000 tasks of 10 owners, the same requests over a Unix socket, and write their
access log to a file.

They run in containers of a lab, on the versions of CPython and PostgreSQL that ship, or with
`--no-lab` on this host, on the versions that it has.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import os
import statistics
import sys
from typing import TYPE_CHECKING

from tests.bench import api_data, api_host, api_lab
from tests.bench.api_sides import OPERATIONS, Side
from tests.system.stack_in_lab import open_machine

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_CONNECTIONS = (1, 16, 64)
_SECONDS = 2.0
_WARM_UP_S = 0.5
_MAX_REQUESTS = 20_000
_REQUIRED = {
    "list": (3.0, 3.5, 3.5),
    "read": (2.8, 3.5, 3.5),
    "create": (1.8, 2.2, 2.2),
    "search": (4.0, 4.0, 4.0),
}
"""Operation -> how many times the peer's requests a CPU second, for each of `_CONNECTIONS`."""
_TAIL = 1 / 2
"""What the 99th percentile of the latency must stay below, of the peer's, at most connections."""

Cell = tuple[str, int]


@dataclasses.dataclass(frozen=True)
class Figures:
    """One run, or the medians of several; CPU in microseconds a request, latency in ms."""

    rate: float
    server_us: float
    database_us: float
    median_ms: float
    p99_ms: float

    @property
    def cpu_us(self) -> float:
        """Of the server and its database."""
        return self.server_us + self.database_us


class LoadError(Exception):
    """Some answers were not right: what was measured is no figure."""


def main() -> int:
    """Measure both and print the tables; 1 when a requirement is not met."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--no-lab", action="store_true")
    options = parser.parse_args()
    with _open_sides(no_lab=options.no_lab) as sides:
        return compare(sides, options.rounds)


@contextlib.contextmanager
def _open_sides(*, no_lab: bool) -> Iterator[dict[str, Side]]:
    if no_lab:
        with api_host.open_sides() as sides:
            yield sides
    else:
        with open_machine() as stack:
            api_lab.build_images(stack.lab)
            with api_lab.open_sides(stack.lab) as sides:
                yield sides


def compare(sides: Mapping[str, Side], rounds: int) -> int:
    """Measure `ours` and `peer`, and print the tables; 1 when a requirement is not met."""
    cells = [(operation, number) for operation in OPERATIONS for number in _CONNECTIONS]
    runs: dict[str, dict[Cell, list[Figures]]] = {
        name: {cell: [] for cell in cells} for name in ("ours", "peer")
    }
    sys.stdout.write(
        f"{rounds} rounds of {_SECONDS:.0f} s a cell; each side has {api_data.OWNERS} owners "
        f"with {api_data.TASKS_EACH:,} tasks each; load average before: {os.getloadavg()[0]:.1f}\n"
    )
    for side in sides.values():
        for operation in OPERATIONS:
            measure(side, (operation, max(_CONNECTIONS)), _WARM_UP_S)
    for number in range(rounds):
        for cell in cells:
            # There and back, so that neither always follows the other.
            for name in list(sides)[:: -1 if number % 2 else 1]:
                runs[name][cell].append(measure(sides[name], cell, _SECONDS))
        sys.stderr.write(f"round {number + 1} of {rounds} is done\n")
    found = {name: {cell: combine(runs[name][cell]) for cell in cells} for name in runs}
    for name, figures in found.items():
        sys.stdout.write(render_figures(name, figures))
    table, met = render_ratios(runs, found["ours"], found["peer"])
    sys.stdout.write(table)
    return 0 if met else 1


def measure(side: Side, cell: Cell, seconds: float) -> Figures:
    """Load one side with one operation.

    Raises:
        LoadError: An answer was wrong or did not come.
    """
    operation, connections = cell
    server_s, database_s = side.cpu_s()
    outcome = side.load(operation, connections, seconds, _MAX_REQUESTS)
    server_after_s, database_after_s = side.cpu_s()
    if outcome.errors or not outcome.answers:
        raise LoadError(f"{side.api.tasks_path}, {operation}, {connections}: {outcome.errors}")
    return Figures(
        rate=outcome.answers / outcome.seconds,
        server_us=(server_after_s - server_s) / outcome.answers * 1e6,
        database_us=(database_after_s - database_s) / outcome.answers * 1e6,
        median_ms=outcome.median_s * 1e3,
        p99_ms=outcome.p99_s * 1e3,
    )


def combine(figures: Sequence[Figures]) -> Figures:
    """The median of each figure."""
    return Figures(
        *(
            statistics.median(getattr(one, field.name) for one in figures)
            for field in dataclasses.fields(Figures)
        )
    )


def render_figures(name: str, figures: Mapping[Cell, Figures]) -> str:
    """One side's table."""
    lines = [
        "",
        f"{name:<8} connections  requests/s  CPU µs (server + database)  p50 ms  p99 ms",
    ]
    lines += [
        f"{operation:<8} {connections:11}  {f.rate:10.0f}  {f.cpu_us:6.0f}   "
        f"({f.server_us:6.0f} + {f.database_us:5.0f})  {f.median_ms:6.2f}  {f.p99_ms:6.1f}"
        for (operation, connections), f in figures.items()
    ]
    return "\n".join(lines) + "\n"


def render_ratios(
    runs: Mapping[str, Mapping[Cell, Sequence[Figures]]],
    ours: Mapping[Cell, Figures],
    peer: Mapping[Cell, Figures],
) -> tuple[str, bool]:
    """How ours compares, and whether all that is required is met."""
    lines = [
        "",
        "ratios   connections  requests per CPU s (range)  required  requests/s     p99  met",
    ]
    all_met = True
    for cell, mine in ours.items():
        operation, connections = cell
        theirs = peer[cell]
        ratio = theirs.cpu_us / mine.cpu_us
        pairs = zip(runs["ours"][cell], runs["peer"][cell], strict=True)
        spread = sorted(other.cpu_us / one.cpu_us for one, other in pairs)
        tail = mine.p99_ms / theirs.p99_ms
        required = _REQUIRED[operation][_CONNECTIONS.index(connections)]
        met = ratio >= required and mine.rate >= theirs.rate
        if connections == max(_CONNECTIONS):
            met &= tail < _TAIL
        all_met &= met
        lines.append(
            f"{operation:<8} {connections:11}  {ratio:6.2f} ({spread[0]:5.2f} - {spread[-1]:5.2f})"
            f"           {required:8.1f}  {mine.rate / theirs.rate:10.2f}  "
            f"{tail:6.2f}  {'yes' if met else 'NO'}"
        )
    lines.append(
        f"p99 is ours over the peer's: below {_TAIL:.2f} at {max(_CONNECTIONS)} connections"
    )
    return "\n".join(lines) + "\n", all_met


if __name__ == "__main__":
    sys.exit(main())
