"""The page about the audit says what its rules do."""

import re

from deploy.audit.rules import RULES
from deploy.paths import REPO


def test_the_page_leaves_no_recommendation_of_the_section_out() -> None:
    named = re.findall(r"`CIS-5\.(\d+)`", (REPO / "docs/audit.md").read_text())
    assert {int(number) for number in named} == set(range(1, 33))


def test_the_page_has_the_table_of_the_rules() -> None:
    rows = [
        f"| `{rule.id}` | {', '.join(rule.kinds)} | {rule.demand} | {rule.also} |" for rule in RULES
    ]
    head = ["| rule | units | requirement | Pod Security |", "| --- | --- | --- | --- |"]
    table = "\n".join([*head, *rows, ""])
    assert table in (REPO / "docs/audit.md").read_text(), f"docs/audit.md should have:\n{table}"
