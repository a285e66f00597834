"""The table of faults: a row for each, as Markdown."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable

_COLUMNS = (
    *("fault", "noticed after", "healed after", "requests (a second)", "lost", "deferred"),
    *("writes", "writes lost", "doubled", "healed by"),
)


@dataclasses.dataclass(frozen=True)
class Row:
    """Cost of one fault.

    Args:
        fault: Its name.
        noticed_s: Seconds from the fault until the stack noticed it; None where that says nothing.
        healed_s: Seconds from the fault, or from the end of its cause, until all was well.
        report: What the load client printed; None where the fault was not reached.
        remedy: What heals it, in one line.
    """

    fault: str
    noticed_s: float | None
    healed_s: float | None
    report: dict[str, Any] | None
    remedy: str

    @property
    def writes_lost(self) -> int:
        """Number of lost acknowledged writes."""
        return 0 if self.report is None else len(self.report["missing"])


class Record(Protocol):
    """Adds a row to the table; fails where more acknowledged writes are lost than may be."""

    def __call__(self, row: Row, *, may_lose: int = 0) -> None: ...


def render(rows: list[Row]) -> str:
    """All rows as a Markdown table."""
    lines = [_render_line(_COLUMNS), _render_line("---" for _ in _COLUMNS)]
    lines += [_render_line(_render_row(row)) for row in rows]
    return "\n".join(lines) + "\n"


def _render_row(row: Row) -> tuple[str, ...]:
    report = row.report
    if report is None:
        numbers = ("-",) * 6
    else:
        numbers = (
            f"{report['sent']} ({report['rate']})",
            str(report["lost"]),
            str(report["deferred"]),
            str(report["acknowledged"]),
            str(row.writes_lost),
            str(len(report["doubled"])),
        )
    return (row.fault, _seconds(row.noticed_s), _seconds(row.healed_s), *numbers, row.remedy)


def _render_line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f} s"
