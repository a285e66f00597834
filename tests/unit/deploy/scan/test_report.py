import datetime as dt
import json
import re

import pytest

from deploy.paths import REPO
from deploy.scan import report as scan_report
from deploy.scan import up_notice
from deploy.scan.report import EXIT_CODES, AdvisorySource, Report, Scanned, Severity, Vulnerability
from deploy.waivers import ScanException

TODAY = dt.date(2026, 11, 24)
NOW = dt.datetime(2026, 11, 24, 12, tzinfo=dt.UTC)
DEBIAN = AdvisorySource("Debian index", asked="3 packages", as_of=NOW - dt.timedelta(days=1))
PYTHON = AdvisorySource(
    "Python advisories", asked="2 distributions", as_of=NOW - dt.timedelta(days=124)
)
IMAGE = Scanned("backend", "localhost/x:latest", "sha256:1", {"Debian packages": 3}, ("the rest",))
CLEAN = Report((IMAGE,), DEBIAN, PYTHON)
UNREACHABLE = AdvisorySource(
    "Debian index", problem="apt could not reach the network", hint="plug it in"
)
LEFT_OUT = AdvisorySource("Debian index", left_out=True, detail="it needs the network")


def flaw(
    identity: str = "PYSEC-1", package: str = "alpha", severity: Severity = Severity.HIGH
) -> Vulnerability:
    return Vulnerability(
        "backend", "python", package, "1.0", identity, "known vulnerability", severity
    )


def accepting(identity: str, expires: dt.date = TODAY) -> ScanException:
    return ScanException(identity, "Alpha", "never called", expires)


def test_nothing_found_is_a_claim_with_the_date_of_each_source() -> None:
    assert CLEAN.exit_code == 0
    assert scan_report.render_claim(CLEAN) == (
        "No pending Debian fix as of 2026-11-23 and no known Python advisory as of 2026-07-23."
    )


@pytest.mark.parametrize("severity", Severity)
def test_the_worst_finding_decides_the_exit_code(severity: Severity) -> None:
    findings = (flaw("A", severity=Severity.UNGRADED), flaw("B", severity=severity))
    report = Report((IMAGE,), DEBIAN, PYTHON, findings=findings)
    assert report.exit_code == EXIT_CODES[severity]


def test_what_could_not_be_checked_outweighs_what_was_found() -> None:
    report = Report((IMAGE,), UNREACHABLE, PYTHON, findings=(flaw(),))
    assert report.exit_code == 69
    assert scan_report.render_claim(report) == (
        "The scan failed: it could not check Debian index, and found 1 problem (1 high)."
    )
    text = scan_report.render_text(report, NOW)
    assert "NOT CHECKED: apt could not reach the network — plug it in" in text


def test_what_was_left_out_on_purpose_is_no_failure_and_no_part_of_the_claim() -> None:
    report = Report((IMAGE,), LEFT_OUT, PYTHON)
    assert report.exit_code == 0
    assert scan_report.render_claim(report) == (
        "No known Python advisory as of 2026-07-23. Skipped: Debian index."
    )
    nothing = Report((IMAGE,), LEFT_OUT, LEFT_OUT)
    assert "nothing else was checked" in scan_report.render_claim(nothing)


def test_the_text_says_what_was_asked_how_old_it_is_and_what_cannot_be_seen() -> None:
    text = scan_report.render_text(CLEAN, NOW)
    assert "3 Debian packages" in text
    assert "Python advisories: 2 distributions, data of 2026-07-23, 124 days old" in text
    assert "backend: the rest" in text
    assert scan_report.CANNOT_SEE[0] in text


def test_a_finding_is_a_line_with_grade_package_fix_and_every_cve() -> None:
    found = Vulnerability(
        "backend",
        "python",
        "alpha",
        "1.0",
        "PYSEC-1",
        "known vulnerability",
        Severity.HIGH,
        aliases=("GHSA-1", "CVE-1"),
        fixed=("1.1", "2.0"),
    )
    report = Report((IMAGE,), DEBIAN, PYTHON, findings=(found,))
    lines = [line.split("  ") for line in scan_report.render_text(report, NOW).splitlines()]
    cells = [[cell.strip() for cell in line if cell.strip()] for line in lines]
    assert [
        "high",
        "backend",
        "alpha 1.0",
        "1.1, 2.0",
        "PYSEC-1, CVE-1",
        "known vulnerability",
    ] in cells


def test_the_document_is_json_and_holds_what_the_text_says() -> None:
    report = Report(
        (IMAGE,), DEBIAN, PYTHON, findings=(flaw(),), accepted=((flaw("B"), accepting("B")),)
    )
    document = json.loads(json.dumps(scan_report.to_document(report)))
    assert document["findings"][0]["severity"] == "high"
    assert document["accepted"][0]["reason"] == "never called"
    assert document["sources"][1]["as_of"] == "2026-07-23T12:00:00+00:00"
    assert document["exit_code"] == report.exit_code == 13


def test_one_flaw_of_two_sources_is_one_finding_with_the_worse_grade() -> None:
    one = Vulnerability(
        "backend", "python", "alpha", "1.0", "PYSEC-1", "x", aliases=("CVE-1",), sources=("A",)
    )
    other = Vulnerability(
        "backend",
        "python",
        "alpha",
        "1.0",
        "CVE-1",
        "x",
        Severity.LOW,
        fixed=("2",),
        sources=("B",),
    )
    (merged,) = scan_report.merge([one, other])
    assert (merged.id, merged.aliases) == ("PYSEC-1", ("CVE-1",))
    assert (merged.severity, merged.fixed) == (Severity.LOW, ("2",))
    assert merged.sources == ("A", "B")


def test_the_same_flaw_of_two_packages_stays_two_findings_the_worst_first() -> None:
    mild, bad = flaw(severity=Severity.LOW), flaw(package="beta", severity=Severity.CRITICAL)
    assert scan_report.merge([mild, bad]) == [bad, mild]


def test_an_exception_covers_a_flaw_by_any_of_its_names() -> None:
    found = Vulnerability("backend", "python", "alpha", "1.0", "PYSEC-1", "x", aliases=("CVE-1",))
    left, accepted = scan_report.accept([found], [accepting("CVE-1")], TODAY, complete=True)
    assert left == []
    assert accepted == [(found, accepting("CVE-1"))]


def test_an_exception_is_for_one_package() -> None:
    found = flaw(package="beta")
    left, accepted = scan_report.accept([found], [accepting("PYSEC-1")], TODAY, complete=False)
    assert (left, accepted) == ([found], [])


def test_an_expired_exception_covers_nothing_and_is_found_itself() -> None:
    yesterday = TODAY - dt.timedelta(days=1)
    entries = [accepting("PYSEC-1", yesterday)]
    left, accepted = scan_report.accept([flaw()], entries, TODAY, complete=False)
    assert accepted == []
    assert [finding.kind for finding in left] == ["python", "exception"]
    assert left[1].what == "the exception expired on 2026-11-23"


def test_an_unused_exception_is_found_when_everything_was_looked_at() -> None:
    entries = [accepting("PYSEC-9")]
    assert scan_report.accept([], entries, TODAY, complete=False)[0] == []
    (found,) = scan_report.accept([], entries, TODAY, complete=True)[0]
    assert (found.package, found.id) == ("Alpha", "PYSEC-9")
    assert found.what == "the exception no longer matches anything"


@pytest.mark.parametrize(
    ("word", "severity"),
    [
        ("CRITICAL", Severity.CRITICAL),
        ("Moderate", Severity.MEDIUM),
        ("Negligible", Severity.LOW),
        ("None", Severity.LOW),
        ("UNKNOWN", Severity.UNGRADED),
        ("", Severity.UNGRADED),
    ],
)
def test_each_source_has_its_own_words_for_a_grade(word: str, severity: Severity) -> None:
    assert Severity.of(word) is severity


def test_the_documented_exit_codes_are_those_of_the_scan() -> None:
    text = (REPO / "docs/scan.md").read_text()
    rows = dict(re.findall(r"^\| (\d+) \| (.*) \|$", text, re.MULTILINE))
    assert sorted(map(int, rows)) == sorted({0, 69, *EXIT_CODES.values()})
    for severity, code in EXIT_CODES.items():
        assert severity.label in rows[str(code)]


def test_up_says_nothing_about_clean_images() -> None:
    assert up_notice.render(CLEAN) is None


def test_up_says_in_one_line_what_is_wrong_or_why_it_does_not_know() -> None:
    found = up_notice.render(Report((IMAGE,), UNREACHABLE, PYTHON, findings=(flaw(),)))
    unknown = up_notice.render(Report((IMAGE,), UNREACHABLE, PYTHON))
    assert found is not None
    assert "1 problem (1 high)" in found
    assert unknown is not None
    assert "Debian index: apt could not reach the network" in unknown
    assert "\n" not in found + unknown


def test_up_remembers_for_a_day_and_forgets_what_is_no_record() -> None:
    stored = json.dumps({"fresh": 1000.0, "old": 1000.0 - 86400, "ahead": 5000.0})
    assert up_notice.recall(stored, 1001.0) == {"fresh": 1000.0}
    for text in ("", "[]", '{"x": "y"}', "{"):
        assert up_notice.recall(text, 0.0) == {}
