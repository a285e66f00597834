from pathlib import Path

from todo.config.reference import render_options
from todo.core.exit import ExitCode

CONFIGURE = (Path(__file__).parents[4] / "docs" / "configure.md").read_text()


def test_the_table_of_options_is_current() -> None:
    begin, end = "options` -->\n", "<!-- end of options -->"
    table = CONFIGURE.partition(begin)[2].partition(end)[0]

    assert table == render_options(), "put `python3 -m todo.admin options` into docs/configure.md"


def test_every_exit_code_is_documented() -> None:
    rows = CONFIGURE.partition("## Exit codes")[2]

    assert [code for code in ExitCode if f"\n| {code.value} |" not in rows] == []
