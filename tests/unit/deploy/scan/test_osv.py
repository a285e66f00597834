"""OSV records: the packages that they affect, and the completeness check of the database."""

import datetime as dt
import gzip
import io
import json
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from deploy.errors import ExitCode
from deploy.scan import osv
from deploy.scan.report import Severity
from tests.osv import render_database


def record(
    events: Sequence[dict[str, str]] = (), versions: Sequence[str] = (), **more: object
) -> dict[str, Any]:
    part: dict[str, Any] = {"package": {"ecosystem": "PyPI", "name": "Alpha_One"}}
    if events:
        part["ranges"] = [{"type": "ECOSYSTEM", "events": list(events)}]
    if versions:
        part["versions"] = list(versions)
    return {"id": "PYSEC-1", "modified": "2026-01-01T00:00:00Z", "affected": [part], **more}


def names(records: Sequence[dict[str, Any]], version: str) -> list[str]:
    found = osv.find(records, [("alpha-one", version)], lambda _: Severity.UNGRADED)
    return [f"{match.id}?" if match.undecided else match.id for match in found]


TWICE = [{"introduced": "0"}, {"fixed": "1.2"}, {"introduced": "2.0"}, {"fixed": "2.1"}]


@pytest.mark.parametrize(
    ("version", "affected"),
    [
        ("0.1", True),
        ("1.2rc1", True),
        ("1.2", False),
        ("1.10", False),
        ("2.0", True),
        ("2.0.5+local", True),
        ("2.1", False),
    ],
)
def test_a_version_lies_in_a_range_or_not(version: str, affected: bool) -> None:  # noqa: FBT001 - a case
    assert names([record(TWICE)], version) == (["PYSEC-1"] if affected else [])
    assert names([record(TWICE[::-1])], version) == (["PYSEC-1"] if affected else [])


@pytest.mark.parametrize(("version", "affected"), [("1.0", True), ("1.0.1", False), ("0.9", False)])
def test_the_last_affected_version_is_affected(version: str, affected: bool) -> None:  # noqa: FBT001 - a case
    events = [{"introduced": "1.0"}, {"last_affected": "1.0"}]
    assert names([record(events)], version) == (["PYSEC-1"] if affected else [])


def test_listed_versions_are_affected_however_they_are_spelled() -> None:
    listed = record(versions=["1.0", "1.1"])
    assert names([listed], "1.0.0") == ["PYSEC-1"]
    assert names([listed], "1.2") == []


def test_withdrawn_and_foreign_advisories_do_not_count() -> None:
    withdrawn = record(versions=["1.0"], withdrawn="2026-02-01T00:00:00Z")
    foreign = record(versions=["1.0"])
    foreign["affected"][0]["package"]["ecosystem"] = "npm"
    assert names([withdrawn, foreign], "1.0") == []


def test_what_nobody_can_tell_is_said_and_not_passed_over() -> None:
    commits = record()
    commits["affected"][0]["ranges"] = [{"type": "GIT", "events": [{"introduced": "0"}]}]
    odd = record([{"introduced": "0"}, {"fixed": "2.0-NA"}])
    assert names([commits], "1.0") == ["PYSEC-1?"]
    assert names([odd], "1.0") == ["PYSEC-1?"]
    assert names([record(TWICE)], "2004d-x") == ["PYSEC-1?"]
    assert names([record(versions=["2004d-x"])], "2004d-x") == ["PYSEC-1"]


def test_the_worst_grade_of_an_advisory_counts() -> None:
    scores = [{"type": "CVSS_V3", "score": "low"}, {"type": "CVSS_V4", "score": "high"}]
    graded = record(versions=["1"], severity=scores)
    worded = record(versions=["1"], database_specific={"severity": "MODERATE"})
    found = osv.find([graded, worded], [("alpha-one", "1")], Severity.of)
    assert [match.severity for match in found] == [Severity.HIGH, Severity.MEDIUM]


def test_records_of_every_shape_are_read() -> None:
    one, other = record(), record(id="PYSEC-2")
    lines = "\n".join(map(json.dumps, (one, other))).encode()
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("PYSEC-1.json", json.dumps(one))
        archive.writestr("PYSEC-2.json", json.dumps(other))
        archive.writestr("README", "no record")
    for content in (
        json.dumps([one, other], indent=1).encode(),
        lines,
        gzip.compress(lines),
        packed.getvalue(),
    ):
        assert [found["id"] for found in osv.read(content)] == ["PYSEC-1", "PYSEC-2"]
    assert [found["id"] for found in osv.read(json.dumps(one).encode())] == ["PYSEC-1"]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"[1]",
        b'{"id": "X"}',
        b'{"id": "X", "modified": "2026-01-01T00:00:00Z", "affected": [1]}',
        b'{"id": "X", "modified": "2026-01-01T00:00:00Z", "affected": []}',
    ],
)
def test_a_file_without_an_advisory_about_python_is_refused(content: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        osv.read(content)


def test_a_whole_database_has_no_gap() -> None:
    assert osv.find_gap(render_database()) == ""


def test_a_database_cut_short_is_told_by_its_number_of_records() -> None:
    cut = render_database()[: osv.MIN_RECORDS - 1]
    assert osv.find_gap(cut) == "it has 6999 records, but the full database has at least 7000"
    assert osv.find_gap([record()]) == "it has 1 records, but the full database has at least 7000"
    assert (
        osv.find_gap([record()] * osv.MIN_RECORDS)
        == "it has 1 records, but the full database has at least 7000"
    )


@pytest.mark.parametrize("at", range(len(osv.CANARIES)))
def test_a_database_that_does_not_know_an_old_flaw_is_no_whole_one(at: int) -> None:
    package, version, flaw = osv.CANARIES[at]
    without = render_database(record())
    del without[at]
    assert osv.find_gap(without) == f"it lacks {flaw}, a known vulnerability of {package} {version}"


@pytest.mark.parametrize(
    ("content", "code", "message"),
    [
        (
            [record()],
            ExitCode.UNAVAILABLE,
            "it has 1 records, but the full database has at least 7000",
        ),
        ([], ExitCode.DATA, "it has no advisories about Python packages"),
    ],
)
def test_part_of_a_database_is_answered_like_a_service_out_of_reach(
    content: list[dict[str, Any]],
    code: ExitCode,
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = tmp_path / "part.json"
    file.write_text(json.dumps(content))
    monkeypatch.setattr("sys.stdin", io.StringIO("[]"))
    assert osv.main([str(file)]) == code
    assert capsys.readouterr().err == f"{message}\n"


def test_a_record_dated_ahead_says_nothing_about_the_age_of_the_data() -> None:
    now = dt.datetime(2026, 11, 24, tzinfo=dt.UTC)
    ahead = record(modified="2027-07-09T15:54:00Z")
    assert osv.find_date([record(), ahead], now) == dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    assert osv.find_date([ahead], now) is None
