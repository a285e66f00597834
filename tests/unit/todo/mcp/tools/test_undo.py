from types import SimpleNamespace
from typing import Any

from todo.mcp.tools.undo import render_undone, show_undone


def test_a_run_of_a_thousand_changes_has_a_bounded_result_with_both_numbers() -> None:
    items = [{"kind": "task", "id": f"t{n}", "after": {"title": "x"}} for n in range(900)]
    staying = [{"seq": n, "message": "m" * 5000} for n in range(100)]
    work: Any = SimpleNamespace(recorded=[])

    shown = show_undone([{"items": items, "not_undone": staying}], work)

    assert (len(shown["undone"]), shown["undone_count"]) == (50, 900)
    assert (len(shown["not_undone"]), shown["not_undone_count"]) == (50, 100)
    assert len(str(shown)) < 50_000
    clock = {"zone": "UTC", "today": "2026-11-29", "weekday": "Sunday", "run_id": "r"}
    lines = render_undone({**shown, **clock}).splitlines()
    assert "- … and 850 more" in lines
    assert "- not undone: 50 more" in lines
