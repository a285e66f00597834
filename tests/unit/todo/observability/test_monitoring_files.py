"""docs/monitoring is complete: what promtool and a scrape cannot tell (tests/integration does)."""

import itertools
import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

REPO = Path(__file__).parents[4]
FOLDER = REPO / "docs" / "monitoring"
GROUPS = yaml.safe_load((FOLDER / "alerts.yaml").read_text())["groups"]
ALERTS: dict[str, dict[str, Any]] = {
    rule["alert"]: rule for group in GROUPS for rule in group["rules"] if "alert" in rule
}
PANELS = json.loads((FOLDER / "dashboard.json").read_text())["panels"]
SHOWN = [panel for panel in PANELS if panel["type"] != "row"]


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_says_what_happened_what_to_do_and_how_urgent_it_is(name: str) -> None:
    assert set(ALERTS[name]["annotations"]) == {"summary", "action", "runbook_url"}
    assert ALERTS[name]["labels"]["severity"] in {"page", "ticket"}


def find_runbooks() -> dict[str, str]:
    """The sections of the runbook by the path that leads to them."""
    page = FOLDER / "runbook.md"
    sections = re.split(r"^### ", page.read_text(), flags=re.MULTILINE)[1:]
    headed = (section.partition("\n") for section in sections)
    address = page.relative_to(REPO)
    return {f"{address}#{heading.lower()}": text for heading, _, text in headed}


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_has_a_runbook_that_says_where_to_look_and_what_to_do(name: str) -> None:
    assert ALERTS[name]["annotations"]["runbook_url"].endswith(f"#{name.lower()}")

    meaning, look, do = find_runbooks()[ALERTS[name]["annotations"]["runbook_url"]].split("\n- ")

    assert meaning.strip()
    assert look.startswith("**Look:** ")
    assert do.startswith("**Do:** ")


def test_every_section_of_the_runbook_is_of_an_alert() -> None:
    assert len(find_runbooks()) == len(ALERTS)


@pytest.mark.parametrize("fires", [True, False])
def test_each_alert_is_tested_to_fire_and_not_to_fire(fires: bool) -> None:  # noqa: FBT001
    tests = yaml.safe_load((FOLDER / "alerts.test.yaml").read_text())["tests"]
    cases = itertools.chain.from_iterable(test["alert_rule_test"] for test in tests)

    assert {case["alertname"] for case in cases if bool(case["exp_alerts"]) is fires} == set(ALERTS)


def test_the_alert_on_memory_knows_the_units_limit() -> None:
    unit = (REPO / "quadlet" / "todo-backend.container").read_text()
    (limit,) = re.findall(r"^MemoryMax=(\d+)M$", unit, re.MULTILINE)

    assert f"{limit} * 1024 * 1024" in ALERTS["TodoMemory"]["expr"]
    assert f"{limit} MiB" in ALERTS["TodoMemory"]["annotations"]["summary"]


def test_every_panel_asks_the_chosen_source_and_says_what_it_shows() -> None:
    for panel in SHOWN:
        sources = [panel["datasource"], *(target["datasource"] for target in panel["targets"])]
        assert {source["uid"] for source in sources} == {"${datasource}"}
        assert panel["title"]
        assert panel["description"].endswith(".")


def test_no_two_panels_are_one_or_overlap() -> None:
    cells = [
        (place["x"] + right, place["y"] + down)
        for place in (panel["gridPos"] for panel in PANELS)
        for right in range(place["w"])
        for down in range(place["h"])
    ]

    assert len({panel["id"] for panel in PANELS}) == len(PANELS)
    assert len(set(cells)) == len(cells)
    assert max(right for right, _down in cells) < 24
