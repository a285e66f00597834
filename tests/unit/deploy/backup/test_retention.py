"""Retention of backups: the script of the database image against a model of its rule."""

import datetime as dt
import subprocess
from collections.abc import Callable, Hashable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.paths import REPO

SCRIPT = REPO / "containers" / "db" / "keep_backups.sh"
TIMES = st.lists(
    st.datetimes(min_value=dt.datetime(1970, 1, 1), max_value=dt.datetime(2099, 12, 31)),  # noqa: DTZ001 - UTC
    max_size=12,
)
NEAR = st.lists(
    st.integers(0, 3 * 366 * 4).map(
        lambda quarters: dt.datetime(2026, 2, 27) + dt.timedelta(hours=6 * quarters)  # noqa: DTZ001 - UTC
    ),
    max_size=60,
)
COUNTS = st.tuples(st.integers(0, 9), st.integers(0, 6), st.integers(0, 7))


def keep(stamps: Sequence[str], daily: int = 7, weekly: int = 4, monthly: int = 6) -> list[str]:
    """Return the output of the script for these sorted stamps."""
    counts = map(str, (daily, weekly, monthly))
    done = subprocess.run(["sh", SCRIPT, *counts, *stamps], check=True, capture_output=True)
    return done.stdout.decode().splitlines()


def render_stamp(at: dt.datetime) -> str:
    return f"{at:%Y%m%dT%H%M%SZ}"


def newest_of_each(
    times: Sequence[dt.datetime], find: Callable[[dt.datetime], Hashable], count: int
) -> set[dt.datetime]:
    newest = {find(at): at for at in sorted(times)}
    return set(sorted(newest.values())[-count:] if count else ())


@given(st.one_of(TIMES, NEAR), COUNTS)
def test_the_newest_of_each_day_week_and_month_is_kept(
    found: list[dt.datetime], counts: tuple[int, int, int]
) -> None:
    times = sorted({at.replace(microsecond=0) for at in found})
    days = newest_of_each(times, lambda at: at.date(), counts[0])
    weeks = newest_of_each(times, lambda at: at.isocalendar()[:2], counts[1])
    months = newest_of_each(times, lambda at: (at.year, at.month), counts[2])

    lines = keep([render_stamp(at) for at in times], *counts)

    expected = [
        f"{'daily' if at in days else 'weekly' if at in weeks else 'monthly'} {render_stamp(at)}"
        for at in sorted(days | weeks | months, reverse=True)
    ]
    assert lines == expected


@given(NEAR)
def test_the_newest_backup_is_always_kept_and_keeping_again_removes_nothing(
    found: list[dt.datetime],
) -> None:
    stamps = sorted({render_stamp(at) for at in found})
    lines = keep(stamps)
    kept = sorted(line.split()[1] for line in lines)
    assert kept[-1:] == stamps[-1:]
    assert keep(kept) == lines


def test_a_year_of_daily_backups_leaves_fourteen_or_fewer_that_reach_back_months() -> None:
    kept: list[str] = []
    start = dt.datetime(2026, 1, 1, 3, tzinfo=dt.UTC)
    for day in range(365):
        kept = sorted({*kept, render_stamp(start + dt.timedelta(days=day))})
        # Every day, as the script does it.
        kept = sorted(line.split()[1] for line in keep(kept))
    assert len(kept) <= 7 + 4 + 6
    assert kept[0][:6] == "202607"
    assert [stamp[6:8] for stamp in kept[-7:]] == ["25", "26", "27", "28", "29", "30", "31"]


@pytest.mark.parametrize("stamps", [[], ["20200101T030000Z"], ["20200101T030000Z"] * 2])
def test_old_backups_are_kept_as_long_as_no_newer_ones_replace_them(stamps: list[str]) -> None:
    assert [line.split()[1] for line in keep(stamps)] == stamps[:1]
