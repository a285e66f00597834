"""Selection of log events: the latest, since a time, errors, or of one request."""

from __future__ import annotations

import itertools
import json
from typing import TYPE_CHECKING

import pytest

from deploy import process
from deploy.errors import DeployError, ExitCode
from deploy.stack import log_line, logs
from deploy.stack.logs import Query

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence


class FakeJournal:
    """A journal that journalctl reads.

    Attributes:
        entries: Message and further fields of the event, oldest first.
        later: What is logged while somebody follows.
        ran: The switches of each call.
        taken: How many entries were taken from the last call.
    """

    def __init__(self) -> None:
        self.entries: list[dict[str, str]] = []
        self.later: list[dict[str, str]] = []
        self.ran: list[list[str]] = []
        self.taken = 0

    def follow(self, argv: Sequence[str]) -> Generator[str, None, None]:
        self.ran.append([word for word in argv if word.startswith("--")])
        self.taken = 0
        texts = [render(number, event) for number, event in enumerate(self.entries)]
        for word in argv:
            if word.startswith("--after-cursor="):
                texts = texts[int(word.partition("=")[2]) + 1 :]
        if "--reverse" in argv:
            texts.reverse()
        for text in texts:
            self.taken += 1
            yield text
        if "--follow" in argv:
            yield from map(render, itertools.count(len(self.entries)), self.later)

    def messages(self, query: Query, *, follow: bool = False) -> list[str]:
        return [line.message for line in logs.read(query, follow=follow)]


def render(number: int, event: dict[str, str]) -> str:
    entry = {
        "MESSAGE": json.dumps(event),
        "CONTAINER_NAME": "todo-backend",
        "__REALTIME_TIMESTAMP": str(number),
        "__CURSOR": str(number),
    }
    return json.dumps(entry)


@pytest.fixture
def journal(monkeypatch: pytest.MonkeyPatch) -> FakeJournal:
    journal = FakeJournal()
    journal.entries = [{"message": str(number)} for number in range(1000)]
    journal.entries[3] |= {"level": "ERROR", "request_id": "r1"}
    journal.entries[4] |= {"level": "CRITICAL"}
    journal.entries[5] |= {"level": "WARNING", "request_id": "r1"}
    monkeypatch.setattr(process, "follow", journal.follow)
    return journal


def test_the_latest_lines_are_shown_oldest_first(journal: FakeJournal) -> None:
    assert journal.messages(Query(lines=3)) == ["997", "998", "999"]


def test_the_latest_lines_are_all_that_is_read(journal: FakeJournal) -> None:
    journal.messages(Query(lines=3))

    assert journal.taken == 3


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        (Query(errors=True), ["3", "4"]),
        (Query(errors=True, lines=1), ["4"]),
        (Query(request="r1"), ["3", "5"]),
        (Query(request="r1", errors=True), ["3"]),
        (Query(request="r1", lines=None), ["3", "5"]),
        (Query(request="r2"), []),
        (Query(lines=0), []),
    ],
)
def test_what_is_searched_for_is_found_however_old_it_is(
    journal: FakeJournal, query: Query, shown: list[str]
) -> None:
    assert journal.messages(query) == shown


def test_following_continues_where_the_latest_lines_end(journal: FakeJournal) -> None:
    journal.later = [{"message": "new"}, {"message": "bad", "level": "ERROR"}]

    assert journal.messages(Query(lines=1), follow=True) == ["999", "new", "bad"]
    assert journal.messages(Query(lines=0), follow=True) == ["new", "bad"]
    assert journal.messages(Query(errors=True), follow=True) == ["3", "4", "bad"]


def test_following_an_empty_log_shows_what_comes(journal: FakeJournal) -> None:
    journal.entries, journal.later = [], [{"message": "new"}]

    assert journal.messages(Query(), follow=True) == ["new"]


def test_since_is_what_journalctl_reads(journal: FakeJournal) -> None:
    journal.messages(Query(since="10 min ago", lines=None), follow=True)

    assert "--since=10 min ago" in journal.ran[0]
    assert {"--follow", "--no-tail"} <= set(journal.ran[0])


def test_a_time_that_journalctl_does_not_take_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(argv: Sequence[str], **_: object) -> process.Completed:
        valid = "--since=today" in argv
        error = "" if valid else "Failed to parse timestamp: noon-ish\n"
        return process.Completed(tuple(argv), int(not valid), "", error)

    monkeypatch.setattr(process, "run", run)
    logs.check_since("today")
    with pytest.raises(DeployError, match="--since: noon-ish is not a valid time") as caught:
        logs.check_since("noon-ish")
    assert caught.value.code == ExitCode.USAGE


def test_the_latest_errors_are_searched_in_a_bounded_part(journal: FakeJournal) -> None:
    found = logs.find_errors(5, search=100)
    assert (found.latest, found.searched) == ((), 100)
    assert found.since == "1970-01-01T00:00:00.000900+00:00"

    found = logs.find_errors(1, search=1000)
    assert [line.message for line in found.latest] == ["4"]
    assert journal.taken == found.searched == 996

    found = logs.find_errors(1, search=1000, is_planned=lambda line: line.message == "4")
    assert [line.message for line in found.latest] == ["3"]
    assert found.planned == 1


def parse(message: str, container: str) -> log_line.Line:
    line = log_line.parse(
        json.dumps(
            {"MESSAGE": message, "CONTAINER_NAME": container, "__REALTIME_TIMESTAMP": "1000000"}
        )
    )
    assert line is not None
    return line


def test_what_podman_passes_on_twice_is_shown_once_and_alike_requests_each() -> None:
    migrated = parse("migrated", "todo-migrate")
    request = parse('{"message": "request"}', "todo-backend")

    lines: Iterator[log_line.Line] = logs.without_echoes(
        [migrated, migrated, request, request, migrated]
    )

    assert list(lines) == [migrated, request, request, migrated]


def test_a_line_of_a_further_instance_names_it() -> None:
    assert parse("x", "todo-backend-2").unit == "backend@2"


def test_the_log_of_the_backend_is_that_of_all_instances_and_one_can_be_chosen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    commands: list[Sequence[str]] = []

    def follow(argv: Sequence[str]) -> Generator[str, None, None]:
        commands.append(argv)
        yield from ()

    monkeypatch.setattr(process, "follow", follow)
    for unit in ("backend", "backend@2", "db", "backend@candidate"):
        assert list(logs.read(Query(units=(unit,)), follow=False)) == []
    first, second = "CONTAINER_NAME=todo-backend", "CONTAINER_NAME=todo-backend-2"
    assert [(first in each, second in each) for each in commands] == [
        (True, True),
        (False, True),
        (False, False),
        (False, False),
    ]
    assert "USER_UNIT=todo-backend@2.service" in commands[1]
    assert all("USER_UNIT=todo-backend@candidate.service" in commands[n] for n in (0, 3))
