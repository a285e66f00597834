"""`build.py status`: the table for people, and how it is shown again."""

from __future__ import annotations

import dataclasses
import json
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from deploy.cli import status_table
from deploy.cli.main import Build
from deploy.errors import DeployError, ExitCode
from deploy.stack import database, in_lab, overview
from deploy.stack.disks import Disk
from deploy.stack.images import ImageStatus
from deploy.stack.log_line import Line
from deploy.stack.logs import Errors
from deploy.stack.management import Figures, LoopLag, Pool
from deploy.stack.overview import Instance, Overview, UnitStatus
from deploy.stack.services import BACKEND, SOCKET
from deploy.stack.update_state import Image, Outcome, Refusal, UpdateStatus
from deploy.upgrade import record

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

GIB = 1024**3
FIGURES = Figures(
    version="0.1.0",
    schema="0013",
    database_schema="0013",
    oldest_program=None,
    started_at="2026-11-30T03:00:00+00:00",
    memory_bytes=100 * 1024 * 1024,
    requests={"2xx": 40, "5xx": 1},
    pool=Pool(size=10, in_use=3, idle=1, waiters=2),
    breakers={"database": "open"},
    loop_lag=LoopLag(samples=100, p99_s=0.005, mean_s=0.0002),
)
ERROR = Line(datetime(2026, 11, 30, 3, 0, tzinfo=UTC), "db", "ERROR", "bad\nthing", {})
AN_HOUR_AGO = "2026-11-30T02:30:00+00:00"
UPDATE = UpdateStatus(
    kept=("localhost/todo-backend:1-old",),
    previous="localhost/todo-backend:1-old",
    refused=(
        Refusal(
            Image("localhost/todo-backend:2-new", "sha256:new"),
            "it ended",
            ("the reason in full",),
            AN_HOUR_AGO,
        ),
    ),
    running=None,
    interrupted=None,
    resumed=None,
    last=Outcome(
        *("update", "rolled back", "localhost/todo-backend:1-old", "localhost/todo-backend:2-new"),
        *("it ended", AN_HOUR_AGO, AN_HOUR_AGO),
    ),
)
DONE = Outcome(
    *("update", "updated", "localhost/todo-backend:1-old", "localhost/todo-backend:2-new"),
    *("", AN_HOUR_AGO, AN_HOUR_AGO),
)
NOW = Overview(
    "http://127.0.0.1:8000",
    ready=True,
    reason="",
    management="http://127.0.0.1:9000",
    state="ready",
    answers=True,
    at="2026-11-30T03:30:00+00:00",
    user="alice",
    linger=True,
    units=(
        UnitStatus(SOCKET, "active", "running", 0, since="2026-11-27T03:30:00+00:00"),
        UnitStatus(
            BACKEND,
            "active",
            "running",
            2,
            health="healthy",
            image="a" * 64,
            since="2026-11-30T03:29:55+00:00",
            image_name="localhost/todo-backend:latest",
        ),
    ),
    instances=(Instance(BACKEND, "http://127.0.0.1:9000", FIGURES),),
    images=(
        ImageStatus(
            "localhost/todo-backend:latest",
            (BACKEND,),
            id="a" * 64,
            revision="b" * 40,
            committed_at="2026-11-29T01:00:00+00:00",
            built_at="2026-11-30T02:30:00+00:00",
        ),
    ),
    disks=(Disk("todo-data", "/data", 100 * GIB, 40 * GIB, 1000),),
    errors=Errors((), 5000, "2026-11-30T01:00:00+00:00"),
)


@pytest.fixture(autouse=True)
def _in_utc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "UTC")


def test_all_of_it_fits_on_a_screen() -> None:
    assert (
        status_table.render(NOW)
        == """\
unit                  state             for  health   restarts  image
todo-backend.socket   active (running)  3 d  -               0  -
todo-backend.service  active (running)  5 s  healthy         2  aaaaaaaaaaaa

version     0.1.0, for schema 0013, which the database has
process     started 30 min ago, 100 MiB, 40 answers 2xx, 1 answers 5xx
pool        3 of 10 connections at work, 1 idle, 2 requests waiting
breakers    database open
loop lag    on average 0.2 ms, 99 % at most 5 ms, since its start
image       localhost/todo-backend:latest aaaaaaaaaaaa, tagged 1 h ago, \
of commit bbbbbbbbbbbb, 1 d 2 h old
disk        40.0 of 100.0 GiB free (40%), with todo-data
errors      none in the last 5000 lines, since 2026-11-30 01:00:00
ready at http://127.0.0.1:8000
health and metrics at http://127.0.0.1:9000
"""
    )


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"linger": False}, "linger is off: all of it stops when alice logs out"),
        (
            {"disks": (Disk("todo-data", "/", 100 * GIB, 2 * GIB, None),)},
            "disk        2.0 of 100.0 GiB free (2%), nearly full, with todo-data",
        ),
        (
            {"images": (ImageStatus("localhost/todo-backend:latest", (), id="c" * 64),)},
            "todo-backend.service runs an older image than localhost/todo-backend:latest is now",
        ),
        (
            {"images": (ImageStatus("localhost/todo-db:latest", ()),)},
            "image       localhost/todo-db:latest is not in this user's image storage",
        ),
        (
            {"update": UPDATE},
            "update      update to localhost/todo-backend:2-new, rolled back 1 h ago: it ended",
        ),
        (
            {"update": dataclasses.replace(UPDATE, last=DONE)},
            "update      update to localhost/todo-backend:2-new, done 1 h ago",
        ),
        (
            {"update": UPDATE},
            "previous    localhost/todo-backend:1-old; python3 build.py rollback goes back to it",
        ),
        ({"update": UPDATE}, "refused     localhost/todo-backend:2-new, 1 h ago: it ended"),
        ({"update": UPDATE}, "  the reason in full"),
        (
            {"update": dataclasses.replace(UPDATE, running="update, watch")},
            "update      under way: update, watch",
        ),
        (
            {
                "update": dataclasses.replace(
                    UPDATE, interrupted="update, watch", resumed="goes back to 1-old"
                )
            },
            (
                "an update was interrupted (update, watch); python3 build.py restart, or the next "
                "update, goes back to 1-old"
            ),
        ),
        ({"unknown": {"disks": "podman is missing"}}, "disks       unknown: podman is missing"),
        (
            {"instances": (Instance(BACKEND, None, None, "no answer"),)},
            "backend     unknown: no answer",
        ),
        ({"errors": Errors((ERROR,), 9, None)}, "  2026-11-30 03:00:00 db      ERROR    bad"),
        ({"errors": Errors((), 0, None)}, "errors      the log is empty"),
        (
            {"errors": Errors((ERROR,), 9, None, planned=7)},
            "errors      the latest 1, without 7 that commands caused:",
        ),
        (
            {"errors": Errors((), 9, None, planned=7)},
            "errors      none in the last 9 lines, without 7 that commands caused",
        ),
        (
            {"ready": False, "state": "not ready", "reason": "the database is down"},
            "not ready: the database is down",
        ),
    ],
)
def test_what_is_wrong_has_a_line(changes: dict[str, object], line: str) -> None:
    shown = status_table.render(dataclasses.replace(NOW, **changes))  # type: ignore[arg-type]

    assert line in shown.splitlines()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"database_schema": None}, "for schema 0013; the database's schema is unknown"),
        ({"database_schema": "0012"}, "for schema 0013; the database has 0012"),
        ({"database_schema": ""}, "for schema 0013; the database has none"),
        (
            {"database_schema": "0014", "oldest_program": "0013"},
            "for schema 0013; the database has 0014, for programs from 0013 on",
        ),
    ],
)
def test_the_schema_of_the_database_is_compared_with_the_programs(
    changes: dict[str, str | None], said: str
) -> None:
    figures = dataclasses.replace(FIGURES, **changes)  # type: ignore[arg-type]
    shown = status_table.render(
        dataclasses.replace(NOW, instances=(Instance(BACKEND, None, figures),))
    )

    assert said in shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0, "0 s"), (59, "59 s"), (60, "1 min"), (3601, "1 h"), (90061, "1 d 1 h"), (-5, "0 s")],
)
def test_an_age_has_its_two_largest_units(seconds: float, shown: str) -> None:
    assert status_table.render_age(seconds) == shown


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Run the command on this host; the third look of --watch ends it as Ctrl-C does."""
    looks = 0

    def find() -> Overview:
        nonlocal looks
        looks += 1
        if looks > 2:
            raise KeyboardInterrupt
        return NOW

    monkeypatch.setattr(in_lab, "find", lambda **_: None)
    monkeypatch.setattr(overview, "find", find)
    monkeypatch.setattr(time, "sleep", lambda _seconds: None)
    return lambda *words: Build.start(["build.py", "status", *words])


def test_ready_is_0_and_anything_else_3(
    run: Callable[..., int], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run() == 0
    monkeypatch.setattr(overview, "find", lambda: dataclasses.replace(NOW, ready=False))
    assert run() == 3


def test_watching_prints_one_after_another_where_it_is_piped(
    run: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("--watch", "0.5") == ExitCode.INTERRUPTED
    shown = capsys.readouterr().out
    assert shown.count("\nunit  ") == 2
    assert shown.startswith(NOW.at)
    assert "\033" not in shown


def test_watching_prints_one_object_a_line_for_programs(
    run: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("--watch", "--json") == ExitCode.INTERRUPTED
    lines = capsys.readouterr().out.splitlines()
    assert [json.loads(line)["ready"] for line in lines] == [True, True]
    assert json.loads(lines[0])["upgrade_db"] is None


def test_an_interrupted_upgrade_of_the_database_is_named_in_both_forms(
    run: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setattr(database, "query", lambda _: "on")
    step = record.Step.COPY
    record.write(record.path(), record.Record(step, *("17", "18"), *("todo-data", "todo-data-18")))
    run()
    assert "18 was interrupted, and the database refuses writes" in capsys.readouterr().out
    run("--json")
    shown = json.loads(capsys.readouterr().out)["upgrade_db"]
    assert (shown["step"], shown["running"], shown["refuses_writes"]) == ("copy", False, True)


def test_watching_draws_over_the_former_one_on_a_terminal(
    run: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("NO_COLOR", "1")
    run("--watch")
    assert capsys.readouterr().out.count("\033[H\033[Junit") == 2


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("5",), "SECONDS requires --watch"),
        (("--watch", "soon"), "--watch: soon is not a valid number of seconds"),
        (("--watch", "0"), "--watch: 0 is not a valid number of seconds"),
        (("--watch", "nan"), "--watch: nan is not a valid number of seconds"),
    ],
)
def test_a_bad_interval_is_refused(
    run: Callable[..., int], words: tuple[str, ...], said: str
) -> None:
    with pytest.raises(DeployError, match=said):
        run(*words)
