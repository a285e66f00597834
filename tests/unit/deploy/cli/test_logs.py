"""`build.py logs`: what its switches ask for, here and in a lab."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from deploy.cli.main import Build
from deploy.stack import in_lab, logs
from deploy.stack.log_line import Line
from deploy.stack.logs import Query

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

LINE = Line(datetime(2026, 11, 30, tzinfo=UTC), "db", "ERROR", "bad", {"request_id": "r1"})


class FakeStack:
    """Source of the log.

    Attributes:
        asked: The queries, and whether each follows.
        times: The times that were checked.
        lab: The words of the command that was run in a lab.
    """

    def __init__(self) -> None:
        self.asked: list[tuple[Query, bool]] = []
        self.times: list[str] = []
        self.lab: list[str] = []

    def read(self, query: Query, *, follow: bool = False) -> Iterator[Line]:
        self.asked.append((query, follow))
        yield LINE

    def again(self, command: str, arguments: Sequence[str]) -> int:
        self.lab = [command, *arguments]
        return 0


@pytest.fixture
def stack(monkeypatch: pytest.MonkeyPatch) -> FakeStack:
    stack = FakeStack()
    monkeypatch.setenv("TZ", "UTC")
    monkeypatch.setattr(in_lab, "find", lambda **_: None)
    monkeypatch.setattr(logs, "read", stack.read)
    monkeypatch.setattr(logs, "check_since", stack.times.append)
    return stack


def run(*words: str) -> int:
    return Build.start(["build.py", "logs", *words])


@pytest.mark.parametrize(
    ("words", "query", "follow"),
    [
        ((), Query(lines=100), False),
        (("backend", "todo-db.service"), Query(units=("backend", "db")), False),
        (("--lines=5", "-f"), Query(lines=5), True),
        (("--since", "-5min"), Query(lines=None, since="-5min"), False),
        (("--since=today", "--lines=5"), Query(lines=5, since="today"), False),
        (("--errors", "--request=r1", "-f"), Query(errors=True, request="r1"), True),
    ],
)
def test_the_switches_choose_the_lines(
    stack: FakeStack, words: tuple[str, ...], query: Query, *, follow: bool
) -> None:
    assert run(*words) == 0
    assert stack.asked == [(query, follow)]
    assert stack.times == ([query.since] if query.since else [])


def test_lines_are_for_people_or_for_programs(
    stack: FakeStack, capsys: pytest.CaptureFixture[str]
) -> None:
    run()
    assert capsys.readouterr().out == "2026-11-30 00:00:00 db      ERROR    bad request=r1\n"
    run("--json")
    assert json.loads(capsys.readouterr().out)["request_id"] == "r1"
    assert len(stack.asked) == 2


@pytest.mark.parametrize(
    ("terminal", "environment", "colored"),
    [
        (True, {}, True),
        (False, {}, False),
        (True, {"NO_COLOR": "1"}, False),
        (True, {"NO_COLOR": ""}, True),
        (True, {"TERM": "dumb"}, False),
    ],
)
def test_color_is_for_terminals_whose_user_wants_it(
    stack: FakeStack,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    *,
    terminal: bool,
    environment: dict[str, str],
    colored: bool,
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("sys.stdout.isatty", lambda: terminal)
    run()
    assert ("\033[" in capsys.readouterr().out) is colored
    assert len(stack.asked) == 1


def test_in_a_lab_the_same_switches_apply(
    stack: FakeStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(in_lab, "find", lambda **_: stack)
    run("db", "--since=10 min ago", "--errors", "--json", "-f")
    assert stack.lab == ["logs", "--since=10 min ago", "--follow", "--errors", "--json", "db"]
    run()
    assert stack.lab == ["logs"]
