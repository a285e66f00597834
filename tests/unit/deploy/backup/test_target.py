"""Targets of a restore: what the command line means, and the options of the script for it."""

from datetime import UTC, datetime

import pytest

from deploy.backup import target
from deploy.backup.target import Change, Kind, Target, render_options
from deploy.errors import DeployError, ExitCode

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
AT = datetime(2026, 11, 30, 11, 59, 30, 250_000, tzinfo=UTC)


def test_a_time_with_an_offset_is_converted_to_utc() -> None:
    found = target.parse_time("2026-11-30T12:05:10.5+01:00", NOW)
    assert found == Target(Kind.TIME, "2026-11-30 11:05:10.500000")
    assert render_options(found) == [
        *("--ended-before", "2026-11-30T11:05:10Z"),
        *("--time", "2026-11-30 11:05:10.500000+00"),
    ]


def test_a_time_without_an_offset_is_of_this_machines_zone() -> None:
    local = AT.astimezone().replace(tzinfo=None).isoformat()
    assert target.parse_time(local, NOW) == target.parse_time(AT.isoformat(), NOW)


@pytest.mark.parametrize("text", ["yesterday", "", "2026-13-01", "14:05"])
def test_what_is_not_a_time_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(
        DeployError, match="is not a valid time — write a time such as 2026-11-30T14:05"
    ) as caught:
        target.parse_time(text, NOW)
    assert caught.value.code == ExitCode.USAGE


def test_the_future_is_refused() -> None:
    with pytest.raises(
        DeployError, match="is in the future — omit --to to restore the latest state"
    ):
        target.parse_time("2026-11-30T12:00:01+00:00", NOW)


def test_a_restore_point_is_named_as_it_was_made() -> None:
    found = target.parse_point("it's here")
    assert render_options(found) == ["--name", "it's here"]
    for text in ("", "x" * 64, "a\nb"):
        with pytest.raises(DeployError, match="at most 63 bytes"):
            target.parse_point(text)


def test_a_base_backup_is_named_by_its_stamp() -> None:
    assert render_options(target.parse_backup("20261130T031500Z")) == ["--base", "20261130T031500Z"]
    for text in ("../x", "2026-11-30", "20261130T031500Z/.."):
        with pytest.raises(DeployError, match="is not the name of a base backup"):
            target.parse_backup(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("nightly-3", Target(Kind.RUN, "nightly-3")),
        ("alice/17", Target(Kind.ENTRY, "alice/17")),
        ("a/b/17", Target(Kind.ENTRY, "a/b/17")),
        ("alice/x", Target(Kind.RUN, "alice/x")),
        ("run:job/17", Target(Kind.RUN, "job/17")),
        ("/17", Target(Kind.RUN, "/17")),
    ],
)
def test_a_change_is_a_run_or_an_entry_with_its_journal(text: str, expected: Target) -> None:
    assert target.parse_change(text) == expected


def test_an_entry_has_its_owner_and_number() -> None:
    assert target.parse_change("a/b/17").entry == ("a/b", 17)


def test_a_change_without_a_name_is_refused() -> None:
    for text in ("", "run:", "a\nb"):
        with pytest.raises(DeployError, match="--before: must be the ID of a run"):
            target.parse_change(text)


def test_before_a_change_goes_by_its_transaction_and_a_base_backup_that_ended_before() -> None:
    change = Change("alice", 17, "4711", AT)
    assert render_options(target.parse_change("nightly-3"), change) == [
        *("--ended-before", "2026-11-30T11:59:30Z", "--before", "4711")
    ]


def test_the_end_has_no_options_but_that_of_a_gap() -> None:
    assert render_options(Target()) == []
    assert render_options(Target(), accept_gap=True) == ["--accept-gap"]


@pytest.mark.parametrize("kind", Kind)
def test_each_target_is_described(kind: Kind) -> None:
    assert str(Target(kind, "x/1"))
